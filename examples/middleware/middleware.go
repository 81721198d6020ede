package main

import (
	"context"
	"log"
	"net/http"
	"time"
)

// userKey is the context's key of the user that a request comes from.
type userKey struct{}

// userOf is the user's name; empty without one.
func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}

// logIn stands for a login: the cookie would hold a session's id, not the name.
func logIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "user", Value: r.FormValue("user"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// authenticated puts the user into each request's context.
func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("user"); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, cookie.Value))
		}
		next.ServeHTTP(w, r)
	})
}

// logged writes a line for each request. One for a WebSocket is over when the upgrade is.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &recorder{ResponseWriter: w, status: http.StatusOK}
		began := time.Now()
		next.ServeHTTP(answer, r)
		log.Printf("%s %s %d in %v", r.Method, r.URL.Path, answer.status, time.Since(began).Round(time.Millisecond))
	})
}

// recorder remembers the status of an answer. A WebSocket needs Unwrap, by which net/http finds the connection.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
