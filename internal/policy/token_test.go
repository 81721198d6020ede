package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio"
)

const secret = "a secret of more than thirty-two bytes"

// withTokens is a setup that looks at tokens.
func withTokens(t *testing.T, cfg config.Auth, o auth.Options) setup {
	t.Helper()
	v, err := auth.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	places := auth.NewPlaces([]string{"auth.token", "header.authorization", "query.token", "cookie.session"},
		func(h http.Header) bool { return h.Get("Origin") == "http://own.example" })
	return setup{options: policy.Options{Tokens: policy.Tokens{Verifier: v, Places: places, KeepExpired: cfg.Expiry == config.ExpiryKeep}}}
}

var bySecret = config.Auth{JWT: config.JWT{Secret: secret}}

// token is one for ttl, 0 for ever.
func token(t *testing.T, ttl time.Duration, claims map[string]any) string {
	t.Helper()
	if claims["exp"] == nil && ttl != 0 {
		claims["exp"] = float64(time.Now().Add(ttl).UnixMilli()) / 1000
	}
	text, err := auth.Sign(bySecret.JWT, claims, 0)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func sub(subject string) map[string]any { return map[string]any{"sub": subject} }

func withToken(text string) string { return fmt.Sprintf(`{"token":%q}`, text) }

// A condition that looks at the token itself is explained without it.
func TestToken_IsNotShownByAnExplanation(t *testing.T) {
	good := token(t, time.Hour, sub("ann"))
	w := start(t, jwtKey+inRoot(`
connect: {if: 'auth.token != "" && auth != {} && query.size() < 0'}`), withTokens(t, bySecret, auth.Options{}))
	w.dial(nil).tryJoin("/", withToken(good))
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.decisions) != 1 || len(w.decisions[0].Trials[0].Terms) == 0 {
		t.Fatalf("%+v", w.decisions)
	}
	if text := w.decisions[0].Notice(); strings.Contains(text, good) {
		t.Error(text)
	}
}

const (
	tokenRules = `
connect:
  require: %s
  if: '!has(claims.banned)'
  do: [{join: "user:${has(claims.sub) ? claims.sub : 'nobody'}"}]
rules:
  - {event: who, ack: ["${claims}"]}
  - {event: in, ack: ["${args[0] in rooms}"]}
disconnect: {do: [{broadcast: {event: left, args: ["${reason}", "${has(claims.sub) ? claims.sub : ''}"]}}]}
`
	missing = "a token is required"
	wrong   = "the token is not valid"
	expired = "the token has expired"
)

func TestToken_DecidesWhoConnects(t *testing.T) {
	good := token(t, time.Hour, sub("ann"))
	for _, c := range []struct{ name, require, auth, want string }{
		{"none", "token", ``, connectError("token_missing", missing)},
		{"empty", "token", `{"token":""}`, connectError("token_missing", missing)},
		{"good", "token", withToken(good), ""},
		{"forged", "token", withToken(good[:len(good)-4] + "AAAA"), connectError("token_invalid", wrong)},
		{"no text", "token", `{"token":{"sub":"ann"}}`, connectError("token_invalid", wrong)},
		{"as long as may be", "token", withToken(good + strings.Repeat("A", 15_000)), connectError("token_invalid", wrong)},
		{"expired", "token", withToken(token(t, -time.Second, sub("ann"))), connectError("token_expired", expired)},
		{"banned", "token", withToken(token(t, time.Hour, map[string]any{"banned": true})), connectError("denied", connectRefused)},
		{"none for anyone", "anyone", ``, ""},
		{"good for anyone", "anyone", withToken(good), ""},
		{"forged for anyone", "anyone", withToken("x"), connectError("token_invalid", wrong)},
		{"expired for anyone", "anyone", withToken(token(t, -time.Second, sub("ann"))), connectError("token_expired", expired)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, c.require)), withTokens(t, bySecret, auth.Options{}))
			got := w.dial(nil).tryJoin("/", c.auth)
			if c.want == "" && !strings.HasPrefix(got, `0{"sid":`) || c.want != "" && got != c.want {
				t.Errorf("CONNECT is answered by %s, want %s", got, c.want)
			}
			decision := map[bool]string{true: "allowed", false: "denied"}[c.want == ""]
			w.await(fmt.Sprintf(`carillon_rule_decisions_total{decision="%s",namespace="/",rule="connect"}`, decision))
		})
	}
}

// jwtKey is what makes require: token possible in a configuration.
const jwtKey = "auth: {jwt: {secret: s}}\n"

func TestToken_WithoutAKeyIsNotLookedAt(t *testing.T) {
	w := start(t, inRoot(fmt.Sprintf(tokenRules, "anyone")), withTokens(t, config.Auth{}, auth.Options{}))
	c := w.connect("/", withToken("not a token"))
	if got := c.ask(`"who"`); got != `[{}]` {
		t.Errorf("claims %s", got)
	}
	if got, want := c.ask(`"auth:refresh","x"`), refused("denied", gatewaysOwn); got != want {
		t.Errorf("refresh: %s", got)
	}
}

func TestToken_IsFoundWhereClientsPutIt(t *testing.T) {
	w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "token")), withTokens(t, bySecret, auth.Options{}))
	good := token(t, time.Hour, sub("ann"))
	url := w.url
	for _, c := range []struct {
		name, query string
		headers     http.Header
		want        string
	}{
		{"header", "", http.Header{"Authorization": {"Bearer " + good}}, ""},
		{"query", "&token=" + good, nil, ""},
		{"own page's cookie", "", http.Header{"Cookie": {"session=" + good}, "Origin": {"http://own.example"}}, ""},
		{"strange page's cookie", "", http.Header{"Cookie": {"session=" + good}, "Origin": {"http://evil.example"}}, connectError("token_missing", missing)},
		{"cookie without a page", "", http.Header{"Cookie": {"session=" + good}}, connectError("token_missing", missing)},
		{"bad before good", "&token=" + good, http.Header{"Authorization": {"Bearer x"}}, connectError("token_invalid", wrong)},
	} {
		w.url = url + c.query
		got := w.dial(c.headers).tryJoin("/", "")
		if c.want == "" && !strings.HasPrefix(got, `0{"sid":`) || c.want != "" && got != c.want {
			t.Errorf("%s: answered by %s", c.name, got)
		}
	}
}

func TestToken_ClaimsAreWhatRulesSee(t *testing.T) {
	w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "token")), withTokens(t, bySecret, auth.Options{}))
	c := w.connect("/", withToken(token(t, 0, map[string]any{"sub": "ann", "roles": []string{"a", "b"}, "iat": 7})))
	if got := c.ask(`"who"`); got != `[{"iat":7,"roles":["a","b"],"sub":"ann"}]` {
		t.Error(got)
	}
	if got := c.ask(`"in","user:ann"`); got != `[true]` {
		t.Error(got)
	}
}

func TestToken_ExpiryDisconnectsUnlessItWasRenewed(t *testing.T) {
	w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "token")), withTokens(t, bySecret, auth.Options{}))
	watcher := w.connect("/", withToken(token(t, 0, sub("watcher"))))
	soon := func(subject string) string {
		return token(t, 0, map[string]any{"sub": subject, "exp": time.Now().Add(3 * time.Second).Unix()})
	}
	renewed := w.connect("/", withToken(soon("ann")))
	expires := w.connect("/", withToken(soon("bob")))
	if got := renewed.ask(fmt.Sprintf(`"auth:refresh",%q`, token(t, time.Hour, map[string]any{"sub": "ann", "level": 2}))); got != ok {
		t.Fatalf("refresh: %s", got)
	}
	if got := expires.next(); got != "1" {
		t.Fatalf("instead of a DISCONNECT: %s", got)
	}
	if got := watcher.next(); got != `2["left","token expired","bob"]` {
		t.Errorf("others are told %s", got)
	}
	// Both would have been due by now.
	if got := renewed.ask(`"who"`); !strings.Contains(got, `"level":2`) {
		t.Errorf("claims after the refresh: %s", got)
	}
	if got := renewed.ask(`"in","user:ann"`); got != `[true]` {
		t.Errorf("rooms after the refresh: %s", got)
	}
	// The connection is still there: the client may join again.
	if got := expires.tryJoin("/", withToken(token(t, time.Hour, sub("bob")))); !strings.HasPrefix(got, `0{"sid":`) {
		t.Errorf("a new CONNECT is answered by %s", got)
	}
}

func TestToken_KeptAfterItsExpiry(t *testing.T) {
	yaml := jwtKey + inRoot(fmt.Sprintf(tokenRules, "token"))
	cfg := bySecret
	cfg.Expiry = config.ExpiryKeep
	keeps, ends := start(t, yaml, withTokens(t, cfg, auth.Options{})), start(t, yaml, withTokens(t, bySecret, auth.Options{}))
	brief := withToken(token(t, 3*time.Second, sub("ann")))
	kept, ended := keeps.connect("/", brief), ends.connect("/", brief)
	if got := ended.next(); got != "1" {
		t.Fatalf("instead of a DISCONNECT: %s", got)
	}
	if got := kept.ask(`"in","user:ann"`); got != `[true]` {
		t.Error(got)
	}
}

func TestRefresh_TakesOnlyTokensOfTheSameSubject(t *testing.T) {
	w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "token")), withTokens(t, bySecret, auth.Options{}))
	good := token(t, time.Hour, map[string]any{"sub": "ann", "level": 2})
	for _, c := range []struct{ name, args, want string }{
		{"another subject", fmt.Sprintf(`,%q`, token(t, time.Hour, sub("bob"))), refused("token_invalid", "the token is not of the same subject")},
		{"no subject", fmt.Sprintf(`,%q`, token(t, time.Hour, map[string]any{})), refused("token_invalid", "the token is not of the same subject")},
		{"forged", `,"a.b.c"`, refused("token_invalid", wrong)},
		{"expired", fmt.Sprintf(`,%q`, token(t, -time.Second, sub("ann"))), refused("token_expired", expired)},
		{"no argument", ``, refused("invalid", "the argument must be a token")},
		{"no text", `,7`, refused("invalid", "the argument must be a token")},
		{"more arguments", fmt.Sprintf(`,%q,1`, good), ok},
	} {
		client := w.connect("/", withToken(token(t, time.Hour, map[string]any{"sub": "ann", "level": 1})))
		if got := client.ask(`"auth:refresh"` + c.args); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
		level := map[bool]string{true: `"level":2`, false: `"level":1`}[c.want == ok]
		if got := client.ask(`"who"`); !strings.Contains(got, level) {
			t.Errorf("%s: then claims are %s", c.name, got)
		}
	}
	open := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "anyone")), withTokens(t, bySecret, auth.Options{}))
	if got := open.connect("/", "").ask(fmt.Sprintf(`"auth:refresh",%q`, good)); got != refused("denied", "there is no token to renew") {
		t.Errorf("without a token: %s", got)
	}
	c := w.connect("/", withToken(good))
	limited := false
	for range 50 {
		limited = limited || c.ask(`"auth:refresh","x"`) == refused("overloaded", "too many refreshes")
	}
	if !limited {
		t.Error("a client may refresh without a limit")
	}
}

// away is an issuer that cannot be reached.
type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func TestToken_ThatCannotBeJudgedClosesTheConnection(t *testing.T) {
	byURL := config.Auth{JWT: config.JWT{JWKS: "https://id.example/keys"}}
	s := withTokens(t, byURL, auth.Options{Transport: away{}})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.options.Tokens.Verifier.Run(ctx) })
	w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "anyone")), s)
	c := w.dial(nil)
	c.write("40" + withToken("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.AAAA"))
	for {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			break
		}
		if strings.HasPrefix(string(data), "4") {
			t.Fatalf("the client is told %s, and does not come back", data)
		}
	}
	w.await(`carillon_rule_decisions_total{decision="failed",namespace="/",rule="connect"}`)
}

func TestToken_IsNowhereToBeSeen(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := withTokens(t, bySecret, auth.Options{Logger: zap.New(core)})
	s.options.Logger = zap.New(core)
	s.config = socketio.Config{Logger: zap.New(core)}
	w := start(t, jwtKey+inRoot(fmt.Sprintf(tokenRules, "token")), s)
	url := w.url
	tokens := []string{token(t, time.Hour, sub("ann")), token(t, -time.Hour, sub("ann")), "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.c2ln"}
	for _, text := range tokens {
		w.url = url + "&token=" + text
		c := w.dial(http.Header{"Authorization": {"Bearer " + text}, "Cookie": {"session=" + text}})
		c.tryJoin("/", withToken(text))
		if text == tokens[0] {
			for _, other := range tokens {
				c.ask(fmt.Sprintf(`"auth:refresh",%q`, other))
			}
		}
	}
	found := func(where, text string) {
		for _, secret := range tokens {
			if strings.Contains(text, secret) || strings.Contains(text, secret[strings.LastIndexByte(secret, '.')+1:]) {
				t.Errorf("a token is in %s: %s", where, text)
			}
		}
	}
	for _, entry := range logs.All() {
		found("the log", fmt.Sprint(entry.Message, entry.ContextMap()))
	}
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found("metrics", fmt.Sprint(families))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.decisions {
		found("a decision", fmt.Sprintf("%+v %v %s", d, d.Cause, d.Notice()))
	}
	sockets, err := w.io.Of("/").FetchSockets(t.Context())
	if err != nil || len(sockets) != 1 {
		t.Fatalf("%d sockets, %v", len(sockets), err)
	}
	found("an answer to the cluster", fmt.Sprintf("%s %s %s", sockets[0].Handshake, sockets[0].Data, sockets[0].Rooms))
}
