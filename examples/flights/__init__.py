"""Will this flight land more than 15 minutes late? A year of departures from New York, predicted and learned live."""
