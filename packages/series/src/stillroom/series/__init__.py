"""Time series for Stillroom: frames, windows, forecast metrics, synthetic data.

intake    one door: frames, CSV, Parquet, JSON Lines, GluonTS, the hub, statsmodels → Panel
frames    long frames in, forecasts out       columns, grid   what they are read with
reading   a user's frame or file, by the columns that a recipe names
records   GluonTS entries                     hub, bundled    data sets with lists; those of statsmodels
gluonts_files   data sets as GluonTS saves them
panel     Item and Panel, the one shape of data
windows   histories to forecast from, truths to judge by
seasons   season lengths and the seasonal naive forecast
levels    quantiles at any levels, from those that a model has
metrics   MASE, WQL and what else forecasters expect, in one numpy pass
labelled  series with classes, in two parts   classes  accuracy, F1, log loss
anomalous series with labelled anomalies      anomalies   VUS, AUC, range and event metrics of anomaly scores
gaps      seeded gaps to fill, and metrics of what was filled in
heldout   what is kept from training: a window that chooses, one that judges
options, writing   what the commands of forecasting families share
corpus    real series to pre-train on, some held out
mixture   training windows by the batch, of real and synthetic series
"""
