package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestTrustedProxies_Client(t *testing.T) {
	t.Parallel()
	trusted := trustedProxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tt := range map[string]struct {
		peer    string
		headers map[string]string
		address string
		secure  bool
	}{
		"no proxy":                       {"192.0.2.1:5000", nil, "192.0.2.1", false},
		"IPv6 peer":                      {"[2001:db8::1]:5000", nil, "2001:db8::1", false},
		"a stranger's word is no proof":  {"192.0.2.1:5000", map[string]string{"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}, "192.0.2.1", false},
		"one proxy":                      {"10.1.1.1:5000", map[string]string{"X-Forwarded-For": "198.51.100.7"}, "198.51.100.7", false},
		"first untrusted from the right": {"10.1.1.1:5000", map[string]string{"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.2.2.2"}, "198.51.100.7", false},
		"all trusted":                    {"10.1.1.1:5000", map[string]string{"X-Forwarded-For": "10.3.3.3, 10.2.2.2"}, "10.3.3.3", false},
		"no header":                      {"10.1.1.1:5000", nil, "10.1.1.1", false},
		"nonsense is not guessed at":     {"10.1.1.1:5000", map[string]string{"X-Forwarded-For": "198.51.100.7, unknown"}, "10.1.1.1", false},
		"with ports":                     {"10.1.1.1:5000", map[string]string{"X-Forwarded-For": "198.51.100.7:4711"}, "198.51.100.7", false},
		"IPv6 with port":                 {"[fd00::1]:5000", map[string]string{"X-Forwarded-For": "[2001:db8::7]:4711"}, "2001:db8::7", false},
		"mapped IPv4":                    {"[::ffff:10.1.1.1]:5000", map[string]string{"X-Forwarded-For": "198.51.100.7"}, "198.51.100.7", false},
		"TLS ends at the proxy":          {"10.1.1.1:5000", map[string]string{"X-Forwarded-Proto": "https"}, "10.1.1.1", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			for key, value := range tt.headers {
				r.Header.Set(key, value)
			}
			if address, secure := trusted.client(r); address != tt.address || secure != tt.secure {
				t.Errorf("client = %s %t, want %s %t", address, secure, tt.address, tt.secure)
			}
		})
	}
}
