package repository

import (
	"crypto/subtle"
	"net/http"
)

// Protect lets only requests with these credentials through to next, and asks
// all others for some, as a Git host does with a private repository.
func Protect(next http.Handler, username, password string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gotUsername, gotPassword, _ := r.BasicAuth()
		right := subtle.ConstantTimeCompare([]byte(gotUsername), []byte(username)) & subtle.ConstantTimeCompare([]byte(gotPassword), []byte(password))
		if right != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="repositories"`)
			http.Error(w, "wrong username or password", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
