"""Reports: texts in two languages, plots, panels, and self-contained HTML pages."""
