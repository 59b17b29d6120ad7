"""What every test shares."""


def pytest_make_parametrize_id(val, argname):
    """Bytes name no test: they may hold the time of day (gzip does), and two workers must collect the same names."""
    return argname if isinstance(val, bytes) else None
