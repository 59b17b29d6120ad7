"""One benchmark runner: tasks as data, scores as rows, a leaderboard with intervals."""
