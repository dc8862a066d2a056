package images

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Names of what other images begin with. They are kept like images, and are
// never pushed by themselves.
const (
	debianBase  = "base-debian"
	busyboxBase = "base-busybox"
)

// base is a root file system made from the distribution's packages.
type base struct {
	name     string
	title    string
	estimate time.Duration
	space    int64 // bytes it needs on disk while it is made
	// key changes with what would be made; it must not need the network.
	key func(ctx context.Context) (string, error)
	// make returns the layer. scratch is an empty directory that outlives the
	// layer; note is told what goes on.
	make func(ctx context.Context, scratch string, note func(string)) (v1.Layer, error)
}

var bases = []base{
	{name: debianBase, title: "a Debian root file system", estimate: time.Minute, space: 1_500_000_000, key: debianKey, make: makeDebian},
	{name: busyboxBase, title: "a busybox root file system", estimate: 5 * time.Second, space: 50_000_000, key: busyboxKey, make: makeBusybox},
}

// explain turns the failure of one of the distribution's tools into a sentence.
// doing begins it; output is what the tool printed.
func explain(ctx context.Context, doing string, err error, output string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: interrupted: %w", doing, context.Cause(ctx))
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	end := strings.Join(lines[max(0, len(lines)-15):], "\n")
	for _, sign := range []string{"Couldn't download", "Failed getting release file", "Could not resolve", "Unable to fetch", "Temporary failure", "Could not connect"} {
		if strings.Contains(output, sign) {
			return fmt.Errorf("%s: the package mirror of this machine's apt does not answer; check the network and try again:\n%s", doing, end)
		}
	}
	if strings.Contains(output, "No space left on device") {
		return fmt.Errorf("%s: the disk is full; free some space and try again", doing)
	}
	return errors.Join(fmt.Errorf("%s: %w", doing, err), errors.New(end))
}
