//go:build linux

package rundir

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"
)

func newDirectory(t *testing.T) Directory {
	t.Helper()
	t.Setenv("BUILDKITE_JOB_CONTEXT_DIR", t.TempDir())
	directory, err := Open()
	if err != nil {
		t.Fatal(err)
	}

	return directory
}

func TestWatch(t *testing.T) {
	cases := map[string]func(string) (*os.File, error){
		"inotify": newInotify,
		"without inotify": func(string) (*os.File, error) {
			return nil, os.NewSyscallError("inotify_init1", syscall.EMFILE)
		},
	}
	for name, open := range cases {
		t.Run(name, func(t *testing.T) {
			directory := newDirectory(t)
			watch := directory.watchWith(open)
			defer watch.Close()
			<-watch.Changed

			// Well within safetyInterval, so it is not that which is seen.
			go func() {
				time.Sleep(50 * time.Millisecond)
				_ = directory.Write("marker", nil)
			}()
			deadline := time.After(2 * time.Second)
			for !directory.Exists("marker") {
				select {
				case <-watch.Changed:
				case <-deadline:
					t.Fatal("the change was not seen")
				}
			}
		})
	}
}

func TestLock(t *testing.T) {
	directory := newDirectory(t)
	lock, err := directory.TryLock("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := directory.TryLock("a"); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v, want ErrLocked", err)
	}
	released := make(chan error)
	go func() { released <- directory.AwaitRelease("a") }()
	select {
	case err := <-released:
		t.Fatalf("released while held: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	lock.Release()
	if err := <-released; err != nil {
		t.Error(err)
	}
}

func TestRead(t *testing.T) {
	directory := newDirectory(t)
	if err := syscall.Mkfifo(directory.Path("fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", directory.Path("link")); err != nil {
		t.Fatal(err)
	}
	if err := directory.Write("large", make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fifo", "link", "large", "missing"} {
		if contents, err := directory.Read(name, 99); err == nil {
			t.Errorf("%s: read %q, want an error", name, contents)
		}
	}
	if contents, err := directory.Read("large", 100); err != nil || len(contents) != 100 {
		t.Errorf("%d bytes, %v; want 100", len(contents), err)
	}
}

func TestExit(t *testing.T) {
	directory := newDirectory(t)
	if _, err := directory.ReadExit(1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no marker: %v, want fs.ErrNotExist", err)
	}
	want := Exit{Status: 3, Reason: "because\nof this"}
	if err := directory.WriteExit(1, want); err != nil {
		t.Fatal(err)
	}
	if got, err := directory.ReadExit(1); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, contents := range []string{"", "zero\n", "-1\n", "256\n", "0x1\n"} {
		if err := directory.Write(ClientExited(1), []byte(contents)); err != nil {
			t.Fatal(err)
		}
		if got, err := directory.ReadExit(1); err == nil {
			t.Errorf("%q: %+v, want an error", contents, got)
		}
	}
}

func TestClaim(t *testing.T) {
	directory := newDirectory(t)
	if err := directory.Claim("a"); err != nil {
		t.Fatal(err)
	}
	if err := directory.Claim("a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want fs.ErrExist", err)
	}
}

func TestMakeOpen(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	directory := newDirectory(t)
	path := directory.Path("sub")
	for range 2 {
		if err := MakeOpen(path); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("%v, %v; want mode 0777", info, err)
	}
	if err := os.WriteFile(directory.Path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeOpen(directory.Path("file")); err == nil {
		t.Error("a file in the way: want an error")
	}
}
