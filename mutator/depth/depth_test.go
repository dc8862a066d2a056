package depth_test

import (
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/mutator/depth"
)

func TestOf(t *testing.T) {
	for text, want := range map[string]int{
		`1`:                    0,
		`{}`:                   1,
		`{"a":[{}]}`:           3,
		`[[],[],[[]]]`:         3,
		`{"a":"[[[[{{{"}`:      1,
		`{"a":"\"[[[","b":[]}`: 2,
		`{"a":"\\","b":[[]]}`:  3,
		strings.Repeat("[", 20000) + strings.Repeat("]", 20000): 20000,
	} {
		if got := depth.Of([]byte(text)); got != want {
			t.Errorf("depth of %.40s is %d, want %d", text, got, want)
		}
	}
}
