package webhook

import (
	"net/http"
)

// limit turns requests away while too many are under way: each holds a pod and
// its patch in memory. The API server reports it, and creators try again.
func limit(inFlight int, metrics *Metrics, next http.Handler) http.Handler {
	slots := make(chan struct{}, inFlight)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			metrics.reviews.WithLabelValues(string(outcomeBusy)).Inc()
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many reviews are under way; try again", http.StatusTooManyRequests)
		}
	})
}
