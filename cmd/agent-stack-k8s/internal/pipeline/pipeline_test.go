package pipeline

import "testing"

func TestInterpolated(t *testing.T) {
	cases := map[string]bool{
		"":               false,
		"plain":          false,
		"$NAME":          true,
		"a${NAME:-x}b":   true,
		"$name":          true,
		"{{matrix}}":     true,
		"$$NAME":         false,
		"$$$NAME":        true,
		"$(NAME)":        false,
		"$(NAME) $OTHER": true,
		"costs 5$":       false,
		"$1":             false,
	}
	for text, want := range cases {
		if got := Interpolated(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
