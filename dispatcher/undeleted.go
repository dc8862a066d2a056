package dispatcher

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// undeleted counts the pods that a pass of the reaper could not delete. While an
// API server is away they are all that have finished, so they share a line.
type undeleted struct {
	count int
	err   error
	// isOut is set if the pass has shown that no other deletion will do better.
	isOut bool
	told  time.Time
}

func (u *undeleted) note(err error) {
	u.count++
	u.err = err
	u.isOut = isOutage(err)
}

// tell ends a pass: it says how many pods are left, once, and then once a minute
// while there are any.
func (u *undeleted) tell(log *slog.Logger) {
	switch {
	case u.count == 0:
		u.told = time.Time{}
	case time.Since(u.told) >= reminderInterval:
		log.Warn("pods could not be deleted", slog.Int("pods", u.count), slog.Any("error", u.err))
		u.told = time.Now()
	}
	u.count, u.err, u.isOut = 0, nil, false
}

// isOutage reports whether an error is about the API server and not about what it
// was asked for: there was no answer, or one that says so.
func isOutage(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code == http.StatusUnauthorized || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}
