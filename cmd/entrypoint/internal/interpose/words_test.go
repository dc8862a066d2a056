package interpose

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	cases := map[string]struct {
		line string
		want []string
	}{
		"nothing":              {"", nil},
		"blanks":               {" \t\n ", nil},
		"words":                {" a  b\tc\nd ", []string{"a", "b", "c", "d"}},
		"single quotes":        {`'a b'c'"d\'`, []string{`a bc"d\`}},
		"double quotes":        {`"a b"c"'d"`, []string{`a bc'd`}},
		"escapes in double":    {`"\"\\\$\` + "`" + `\n"`, []string{`"\$` + "`" + `\n`}},
		"escapes":              {`a\ b \'c \\`, []string{"a b", "'c", `\`}},
		"empty words":          {`'' "" a''`, []string{"", "", "a"}},
		"quoted line end":      {"a\\\nb \"c\\\nd\"", []string{"ab", "cd"}},
		"quoted line end only": {"\\\n", nil},
		"an apostrophe":        {`'it'\''s'`, []string{"it's"}},
		"not ASCII":            {`é "ñ ü"`, []string{"é", "ñ ü"}},
		"no expansion":         {`$HOME * ~ $(a) #b`, []string{"$HOME", "*", "~", "$(a)", "#b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := split(tc.line)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSplitAgreesWithShell holds the rules against a real shell's.
func TestSplitAgreesWithShell(t *testing.T) {
	for _, line := range []string{
		`a  b`, `'a b'c`, `"a\"b\\c\d"`, `a\ b\c`, `'' x ""`, "a\\\nb", "\"a\\\nb\"", `'it'\''s'`, `"it's"`, `'"'`, `\\`, `"\$x"`,
	} {
		output, err := exec.Command("/bin/sh", "-c", `printf '%s\0' `+line).Output()
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want := strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00")
		got, err := split(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}
