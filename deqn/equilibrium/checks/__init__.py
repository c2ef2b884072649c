"""An economy's equations are checked before training begins."""
