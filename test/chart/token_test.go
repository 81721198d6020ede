package chart

import (
	"fmt"
	"testing"
)

func TestTokens_NetworkPolicyLetsTheKeysBeFetched(t *testing.T) {
	for url, want := range map[string]string{
		"https://id.example/keys":           "443",
		"http://id.example/keys?a=b:7":      "80",
		"https://id.example:8443/realms/a":  "8443",
		"https://jo:pass@id.example/keys":   "443",
		"http://[fd00::1]:8080/keys":        "8080",
		"http://keycloak.id.svc:8080/certs": "8080",
	} {
		egress, _ := render(t, "config.auth.jwt.jwks="+url).must(t, "NetworkPolicy", release).at("spec", "egress").([]any)
		rule := asObject(egress[len(egress)-1])
		ports, _ := rule.at("ports").([]any)
		if len(ports) != 1 || fmt.Sprint(asObject(ports[0])["port"]) != want || rule.at("to") != nil {
			t.Errorf("%s: the last rule is %v, want port %s", url, rule, want)
		}
	}
}
