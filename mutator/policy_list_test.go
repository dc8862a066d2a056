package mutator

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestPatterns compares the matcher with what a regular expression makes of the
// same pattern, on short texts of few letters, where all cases come up.
func TestPatterns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, length int) string {
		var text strings.Builder
		for range random.IntN(length) {
			text.WriteByte(letters[random.IntN(len(letters))])
		}
		return text.String()
	}
	matched := 0
	for range 50_000 {
		pattern, value := word("ab/*", 7), word("ab/", 8)
		expression := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		want := regexp.MustCompile(expression).MatchString(value)
		if got := matchesPattern(pattern, value); got != want {
			t.Fatalf("matchesPattern(%q, %q) = %v", pattern, value, got)
		}
		if want {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d of the pairs matched", matched)
	}
}

func TestMatchesImage(t *testing.T) {
	cases := []struct {
		pattern, image string
		want           bool
	}{
		{"docker.io/library/alpine", "alpine", true},
		{"docker.io/library/alpine", "alpine:3", true},
		{"docker.io/library/alpine", "index.docker.io/library/alpine@sha256:0", true},
		{"docker.io/library/alpine", "Docker.io/alpine", true},
		{"docker.io/library/alpine", "alpine-evil", false},
		{"docker.io/library/alpine:*", "alpine", true},
		{"docker.io/library/alpine:3", "alpine", false},
		{"docker.io/library/alpine:latest", "alpine", true},
		{"docker.io/library/*", "alpine", true},
		{"docker.io/library/*", "acme/alpine", false},
		{"docker.io/acme/*", "acme/team/alpine:3", true},
		{"registry.example.com/*", "registry.example.com/a/b@sha256:0", true},
		{"registry.example.com/*", "registry.example.com.evil.org/a", false},
		{"registry.example.com/*", "registry.example.com:5000/a", false},
		{"*.example.com/*", "registry.example.com/a", true},
		{"*.example.com/*", "evil.org/x.example.com/a", false},
		{"localhost/*", "localhost/a", true},
		{"docker.io/library/*", "localhost/a", false},
		{"example.com:5000/a", "example.com:5000/a:1", true},
		{"*", "anything", true},
	}
	for _, tc := range cases {
		if got := matchesImage(tc.pattern, tc.image); got != tc.want {
			t.Errorf("matchesImage(%q, %q) = %v", tc.pattern, tc.image, got)
		}
	}
}
