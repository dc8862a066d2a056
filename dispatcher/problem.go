package dispatcher

import (
	"fmt"
	"time"
)

// Problem is a fault of the platform or of the configuration, not of a job:
// what a Source reports instead of a bare error.
type Problem struct { //nolint:errname // a problem with advice; "Error" would say less
	// Kind tells problems apart: each is logged once, then once a minute.
	Kind string
	// Advice says in a sentence what is wrong and what to do.
	Advice string
	// RetryAfter is the shortest time to wait before asking again; 0 if unknown.
	RetryAfter time.Duration
	// Err is the cause, or nil.
	Err error
}

func (p *Problem) Error() string {
	if p.Err == nil {
		return p.Advice
	}
	return fmt.Sprintf("%s: %s", p.Advice, p.Err)
}

func (p *Problem) Unwrap() error {
	return p.Err
}
