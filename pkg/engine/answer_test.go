package engine

import "testing"

func TestPreferredEncoding(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "br": "", "gzip": "gzip", "deflate": "deflate", "*": "gzip", "GZIP": "gzip",
		"gzip, deflate, br": "gzip", "deflate, gzip": "deflate", "br, deflate;q=0.5, gzip ; q=0.8": "gzip",
		"gzip;q=0": "", "gzip; q=0.0, *": "deflate", "*;q=0": "", "*, deflate": "deflate", "deflate;q=0.2, *;q=0.5": "gzip",
		"gzip;q=x": "gzip", "gzip;q=-1": "", "gzip;q=NaN": "",
	} {
		if got := preferredEncoding(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
