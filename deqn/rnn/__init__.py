"""Recurrent networks: their equations, layers of Keras, windows for forecasts, language and text."""
