"""One file per plot; each holds a function of the same name. See `ax.plot`."""
