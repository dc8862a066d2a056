package images

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMirrorIsAptsOwn(t *testing.T) {
	cases := map[string]struct {
		sources string
		want    distribution
		err     string
	}{
		"the release's main archive": {
			sources: "bookworm-security main http://mirror.lan/security/ $(SIGNED_BY)\nbookworm contrib http://mirror.lan/debian/ $(SIGNED_BY)\nbookworm main http://mirror.lan/debian/ $(SIGNED_BY)\n",
			want:    distribution{codename: "bookworm", components: "main", mirror: "http://mirror.lan/debian/"},
		},
		"with a keyring of its own": {
			sources: "bookworm main https://mirror.lan/debian /usr/share/keyrings/lan.gpg\n",
			want:    distribution{codename: "bookworm", components: "main", mirror: "https://mirror.lan/debian", keyring: "/usr/share/keyrings/lan.gpg"},
		},
		"another release": {sources: "trixie main http://mirror.lan/debian/ $(SIGNED_BY)\n", err: `none has "bookworm", main`},
		"nothing":         {err: `none has "bookworm", main`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := distribution{codename: "bookworm", components: "main"}.from(tc.sources)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(distribution{})); diff != "" {
				t.Errorf("distribution (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDebootstrapArguments(t *testing.T) {
	d := distribution{codename: "noble", components: "main,universe", mirror: "http://mirror.lan/ubuntu", keyring: "/k.gpg"}
	got := strings.Join(d.arguments("/root"), " ")
	want := "--variant=minbase --components=main,universe --include=git,ca-certificates,openssh-client,openssh-server,tini --keyring=/k.gpg noble /root http://mirror.lan/ubuntu"
	if got != want {
		t.Errorf("got %s", got)
	}
}
