// Package plot draws the two kinds of chart that a run of the benchmark needs as SVG: bars side by side, and lines over a
// logarithmic axis. It knows nothing of what they show. The same input gives the same bytes.
package plot
