package mutator

import (
	"strings"
	"testing"
)

// What the quick look passes over is not looked at again.
func TestMentionsSecret(t *testing.T) {
	for _, text := range []string{
		"", "s", "secre", "secre t", "ſecret", "service", "sssecre", "secret", "Secret", "SECRET", "ssecret", "secsecret", "sesecre",
		`{"valueFrom":{"secretKeyRef":{"name":"a"}}}`, `{"nodePublishSecretRef":{}}`, `{"x":"é secreT"}`,
	} {
		if got, want := mentionsSecret([]byte(text)), strings.Contains(strings.ToLower(text), secretWord); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}
