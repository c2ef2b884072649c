"""Recurrent networks: their equations, back-propagation through time, forecasts from windows, language, text."""
