package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

const cookieName = "chat_token"

// tokens signs names. A larger program takes a library for JSON Web Tokens, or a session store.
type tokens struct{ key []byte }

func (t tokens) sign(name string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(name))
	return name + "~" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// verify returns the name that a token was signed for; false for what was not signed here.
func (t tokens) verify(token string) (name string, ok bool) {
	name, _, ok = strings.Cut(token, "~")
	return name, ok && hmac.Equal([]byte(token), []byte(t.sign(name)))
}

// serveLogin takes {"name":…}, and answers with a token in the body, for programs, and in a cookie, for pages of this site. A
// real one asks for a password.
func (t tokens) serveLogin(w http.ResponseWriter, r *http.Request) {
	var login struct{ Name string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&login); err != nil || !goodName.MatchString(login.Name) {
		http.Error(w, errName.Message, http.StatusBadRequest)
		return
	}
	token := t.sign(login.Name)
	// SameSite keeps pages of other sites from connecting in the user's name.
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token}) // a client that has gone needs no answer
}

// userKey is where withUser leaves the user's name.
type userKey struct{}

// withUser is middleware as for any handler of net/http: what it puts into the request's context reaches the socket.
func (t tokens) withUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie(cookieName); err == nil {
			if name, ok := t.verify(cookie.Value); ok {
				r = r.WithContext(context.WithValue(r.Context(), userKey{}, name))
			}
		}
		next.ServeHTTP(w, r)
	})
}
