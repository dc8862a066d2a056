package dispatcher

import (
	"regexp"
	"strings"
)

// tokenPattern finds Buildkite's tokens: of clusters, agents, jobs, users and
// portals.
var tokenPattern = regexp.MustCompile(`\bbk[a-z]{1,3}_[A-Za-z0-9._-]{8,}`)

const (
	redacted = "[REDACTED]"
	// minSecretBytes keeps a short or empty secret from blanking out a text.
	minSecretBytes = 6
)

// newRedactor takes secrets, and what looks like one of Buildkite's tokens, out
// of a text. The secrets are read each time, because tokens change.
func newRedactor(secrets []func() (string, error)) func(text string) string {
	return func(text string) string {
		for _, secret := range secrets {
			if value, err := secret(); err == nil && len(value) >= minSecretBytes {
				text = strings.ReplaceAll(text, value, redacted)
			}
		}
		return tokenPattern.ReplaceAllString(text, redacted)
	}
}
