package state

import (
	"fmt"
	"net/http"
	"time"
)

// Problem is a request that cannot be carried out, in terms of HTTP, because
// that is how every caller hears of it.
type Problem struct { //nolint:errname // it is an answer first and an error second
	// Status is the HTTP status, 4xx.
	Status  int
	Message string
	// RetryAfter is when to try again; 0 when that is of no use.
	RetryAfter time.Duration
}

func (p *Problem) Error() string { return p.Message }

func notFound(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusNotFound, Message: fmt.Sprintf(format, args...)}
}

func unprocessable(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusUnprocessableEntity, Message: fmt.Sprintf(format, args...)}
}

func unauthorized(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusUnauthorized, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf(format, args...)}
}
