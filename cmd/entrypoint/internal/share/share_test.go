//go:build linux

package share

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree is a directory to open.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	t.Helper()
	old := unix.Umask(0)
	t.Cleanup(func() { unix.Umask(old) })
	root := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}

	return tree{t, root}
}

// file makes a file of a mode, whatever it takes; a name that ends with a slash is
// a directory's.
func (d tree) file(name string, mode fs.FileMode) {
	d.t.Helper()
	path := filepath.Join(d.root, name)
	var err error
	if strings.HasSuffix(name, "/") {
		err = os.Mkdir(path, 0o700)
	} else {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d tree) mode(name string) string {
	d.t.Helper()
	info, err := os.Lstat(filepath.Join(d.root, name))
	if err != nil {
		d.t.Fatal(err)
	}

	return info.Mode().String()
}

func (d tree) open(options Options) Result {
	d.t.Helper()
	if options.Limit == 0 {
		options.Limit = time.Minute
	}
	result, err := Open(d.root, options)
	if err != nil {
		d.t.Fatal(err)
	}

	return result
}

func TestModes(t *testing.T) {
	cases := map[string]struct {
		mode fs.FileMode
		want string
	}{
		"plain":             {0o644, "-rw-rw-rw-"},
		"closed":            {0o600, "-rw-rw-rw-"},
		"program":           {0o755, "-rwxrwxrwx"},
		"program half open": {0o710, "-rwxrwxrwx"},
		"read-only":         {0o444, "-r--r--r--"},
		"owner only reads":  {0o400, "-r--r--r--"},
		"nothing":           {0, "----------"},
		"fine":              {0o666, "-rw-rw-rw-"},
		"more than owner's": {0o466, "-r--rw-rw-"},
		"set user":          {0o755 | fs.ModeSetuid, "urwxr-xr-x"},
		"set group":         {0o755 | fs.ModeSetgid, "grwxr-xr-x"},
		"directory/":        {0o755, "drwxrwxrwx"},
		"closed directory/": {0o700, "drwxrwxrwx"},
		"group directory/":  {0o755 | fs.ModeSetgid, "dgrwxrwxrwx"},
		"sticky directory/": {0o700 | fs.ModeSticky, "dtrwxrwxrwx"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := newTree(t)
			d.file("a/", 0o700)
			d.file("a/"+name, tc.mode)
			result := d.open(Options{})
			if got := d.mode("a/" + name); got != tc.want {
				t.Errorf("mode %s, want %s", got, tc.want)
			}
			if got := d.mode("."); got != "drwxrwxrwx" {
				t.Errorf("the top is %s", got)
			}
			if result.Failed != 0 || result.Cut || result.Looked != 3 {
				t.Errorf("unexpected result: %+v", result)
			}
			if again := d.open(Options{}); again.Opened != 0 {
				t.Errorf("the second time %d were changed", again.Opened)
			}
		})
	}
}

// Nothing outside is reached, whichever way a link points there.
func TestLinksAreNotFollowed(t *testing.T) {
	d := newTree(t)
	outside := tree{t, t.TempDir()}
	if err := os.Chmod(outside.root, 0o700); err != nil {
		t.Fatal(err)
	}
	outside.file("file", 0o600)
	d.file("a/", 0o700)
	for name, target := range map[string]string{
		"directory": outside.root, "a/file": filepath.Join(outside.root, "file"), "dangling": "/no/such/file", "up": "..", "loop": ".",
		"relative": "../../" + filepath.Base(outside.root) + "/file",
	} {
		if err := os.Symlink(target, filepath.Join(d.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if result := d.open(Options{}); result.Failed != 0 {
		t.Errorf("unexpected result: %+v", result)
	}
	if outside.mode(".") != "drwx------" || outside.mode("file") != "-rw-------" {
		t.Errorf("outside was opened: %s, %s", outside.mode("."), outside.mode("file"))
	}
}

func TestLeftAlone(t *testing.T) {
	d := newTree(t)
	for _, name := range []string{".ssh/", "a/", "a/mounted/", "a/.ssh/"} {
		d.file(name, 0o700)
		d.file(name+"file", 0o600)
	}
	d.open(Options{Skip: []string{".ssh"}, Mounts: map[string]bool{filepath.Join(d.root, "a/mounted"): true}})
	want := map[string]string{
		".ssh": "drwx------", ".ssh/file": "-rw-------", "a/mounted": "drwx------", "a/mounted/file": "-rw-------",
		"a/file": "-rw-rw-rw-", "a/.ssh/file": "-rw-rw-rw-",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = d.mode(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

// More names than fit into one batch, directories among them.
func TestLargeDirectory(t *testing.T) {
	d := newTree(t)
	const count = 2*batch + 10
	for i := range count {
		d.file(fmt.Sprintf("d%d/", i), 0o700)
		d.file(fmt.Sprintf("d%d/f", i), 0o600)
	}
	if result := d.open(Options{}); result.Opened != 2*count+1 {
		t.Errorf("unexpected result: %+v", result)
	}
}

func TestDeepDirectory(t *testing.T) {
	d := newTree(t)
	path := strings.Repeat("a/", depthLimit+10)
	if err := os.MkdirAll(filepath.Join(d.root, path), 0o700); err != nil {
		t.Fatal(err)
	}
	result := d.open(Options{})
	if result.Failed != 1 || !strings.Contains(result.Failure.Error(), "directories deep") {
		t.Errorf("unexpected result: %+v", result)
	}
}

func TestOutOfTime(t *testing.T) {
	d := newTree(t)
	d.file("a", 0o600)
	if result := d.open(Options{Limit: time.Nanosecond}); !result.Cut || result.Looked > 1 {
		t.Errorf("unexpected result: %+v", result)
	}
}

func TestNoDirectory(t *testing.T) {
	if _, err := Open("/no/such/directory", Options{}); err == nil {
		t.Error("no error")
	}
}

func TestMounts(t *testing.T) {
	const mountinfo = `22 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 22 0:29 /a /workspace rw,nosuid shared:1 master:2 - tmpfs none rw
32 31 0:29 /b /workspace/with\040space\134 rw - tmpfs none rw
`
	got, err := Mounts(strings.NewReader(mountinfo))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"/": true, "/workspace": true, `/workspace/with space\`: true}, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	self, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if got, err = Mounts(self); err != nil || !got["/proc"] {
		t.Errorf("want /proc among the mounts, got %v, %v", got, err)
	}
}
