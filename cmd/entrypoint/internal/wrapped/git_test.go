//go:build linux

package wrapped

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTellGit(t *testing.T) {
	cases := map[string]struct{ own, want []string }{
		"nothing": {[]string{"A=b"}, []string{"A=b", "GIT_CONFIG_PARAMETERS='safe.directory=*'"}},
		"counted": {
			[]string{"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=it's", "GIT_CONFIG_KEY_1=a.c=d.e", "GIT_CONFIG_VALUE_1=x!"},
			[]string{`GIT_CONFIG_PARAMETERS='a.b=it'\''s' 'a.c=d.e'='x'\!'' 'safe.directory=*'`},
		},
		"parameters": {
			[]string{"GIT_CONFIG_PARAMETERS='a.b=c'", "GIT_CONFIG_COUNT=0"},
			[]string{"GIT_CONFIG_PARAMETERS='a.b=c' 'safe.directory=*'"},
		},
		"incomplete": {
			[]string{"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c"},
			[]string{"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c", "GIT_CONFIG_PARAMETERS='safe.directory=*'"},
		},
		"not a number": {[]string{"GIT_CONFIG_COUNT=x"}, []string{"GIT_CONFIG_COUNT=x", "GIT_CONFIG_PARAMETERS='safe.directory=*'"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tellGit(tc.own, false)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}
