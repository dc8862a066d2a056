package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func busyboxKey(context.Context) (string, error) { return "1 busybox-static " + runtime.GOARCH, nil }

// makeBusybox unpacks the distribution's package instead of installing it: the
// machine stays as it is.
func makeBusybox(ctx context.Context, scratch string, note func(string)) (v1.Layer, error) {
	note("fetching the package busybox-static")
	// apt downloads as a user without rights, who must be able to enter.
	if err := os.Chmod(scratch, 0o755); err != nil {
		return nil, fmt.Errorf("make the shell image: %w", err)
	}
	if err := aptGet(ctx, scratch, "download", "busybox-static"); err != nil {
		return nil, err
	}
	packages, err := filepath.Glob(filepath.Join(scratch, "busybox-static_*.deb"))
	if err != nil || len(packages) == 0 {
		return nil, errors.Join(errors.New("make the shell image: apt-get download left no package"), err)
	}
	root := filepath.Join(scratch, "root")
	if output, err := exec.CommandContext(ctx, "dpkg-deb", "-x", packages[0], root).CombinedOutput(); err != nil {
		return nil, explain(ctx, "unpack busybox-static", err, string(output))
	}
	for _, name := range []string{"bin/busybox", "usr/bin/busybox"} {
		binary := filepath.Join(root, name)
		if _, err := os.Stat(binary); err != nil {
			continue
		}
		applets, err := exec.CommandContext(ctx, binary, "--list-full").Output()
		if err != nil {
			return nil, fmt.Errorf("ask busybox for its applets: %w", err)
		}
		return layerOf(busyboxFiles(binary, strings.Fields(string(applets)))), nil
	}
	return nil, errors.New("make the shell image: the package busybox-static holds no busybox")
}

// busyboxFiles returns a root file system with busybox under the names of its
// applets ("bin/ls"), a place for temporary files, and users.
func busyboxFiles(binary string, applets []string) []file {
	files := map[string]file{
		"bin/busybox": {mode: 0o755, source: binary},
		"etc/passwd":  {mode: 0o644, content: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n")},
		"etc/group":   {mode: 0o644, content: []byte("root:x:0:\nnogroup:x:65534:\n")},
		"root":        {mode: 0o700, directory: true},
		"tmp":         {mode: 0o1777, directory: true},
		"var/tmp":     {mode: 0o1777, directory: true},
	}
	for _, applet := range applets {
		if applet != "linuxrc" && files[applet].mode == 0 {
			files[applet] = file{mode: 0o777, link: "/bin/busybox"}
		}
	}
	for name := range files {
		for directory := path.Dir(name); directory != "."; directory = path.Dir(directory) {
			if _, known := files[directory]; !known {
				files[directory] = file{mode: 0o755, directory: true}
			}
		}
	}
	var sorted []file
	for name, f := range files {
		f.name = name
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return sorted
}
