package build

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Options says what to build. The zero value builds everything, silently.
type Options struct {
	// Groups are groups or single programs; none: all groups.
	Groups []Group
	// Progress hears what goes on; nil: nobody does.
	Progress Progress
	// Directory lies in the checkout; empty: the working directory.
	Directory string
	// Cache is where built programs are kept; empty:
	// ${XDG_CACHE_HOME:-~/.cache}/agent-stack-k8s.
	Cache string
	// Kept is how many sets of programs stay, by last use. Zero: 12, a few for
	// each of several checkouts, which share what did not change between them.
	Kept int
}

// Progress hears of the steps of a build, one after the other; nothing when
// nothing has to be built. *progress.Progress prints them.
type Progress interface {
	// Start begins a step that will take about so long.
	Start(step string, estimate time.Duration)
	// Note says how far the step is. It may be called from any goroutine.
	Note(text string)
	// Done ends the step.
	Done()
	// Fail ends the step and the build.
	Fail(err error)
}

// Build makes sure that the programs are built and returns the directory they are
// in, each under its name. Another state of the sources has another directory; it
// also holds what was built for that state before. A directory stays as long as
// one of its programs runs or it is among the last few that were asked for.
//
// It may be called by several processes at once. It fails, with a sentence that
// says what to do, without a usable Go, network or disk, and where the sources do
// not compile.
func Build(ctx context.Context, options Options) (string, error) {
	b, err := Prepare(ctx, options)
	if err != nil {
		return "", err
	}
	return b.Build(ctx)
}

// Build is the function Build for what was prepared.
func (b *Builder) Build(ctx context.Context) (string, error) {
	view := b.store.view(viewKey(b.keys))
	if b.store.complete(view, b.chosen) {
		return view, nil
	}
	unlock, err := Lock(ctx, b.store.directory, b.Progress, "wait for another build")
	if err != nil {
		return "", err
	}
	defer unlock()
	if missing := b.store.missing(b.chosen, b.keys); len(missing) > 0 {
		if err := b.build(ctx, missing); err != nil {
			b.Progress.Fail(err)
			return "", err
		}
	}
	if err := b.store.link(view, b.chosen, b.keys); err != nil {
		return "", err
	}
	b.store.complete(view, b.chosen) // the newest, before the oldest go
	return view, b.store.prune()
}

// build compiles and installs the programs: those of this repository first, since
// a mistake there should not show only after ten minutes.
func (b *Builder) build(ctx context.Context, missing []program) error {
	directory, err := b.store.temporary()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	b.Progress.Start(fetchStep, 0)
	if err := CheckSpace(space(0), b.store.directory, b.tool.Cache); err != nil {
		return err
	}
	packages, err := b.tool.plan(ctx, missing, directory, b.Progress.Note)
	if err != nil {
		return err
	}
	if err := CheckSpace(space(packages), b.store.directory, b.tool.Cache); err != nil {
		return err
	}
	b.Progress.Done()
	b.Progress.Start(compileStep, estimate(packages, missing))
	compiled := 0
	for _, batch := range b.batches(missing) {
		note := func() {
			compiled++
			b.Progress.Note(fmt.Sprintf("%d of %d packages for %s", compiled, packages, strings.Join(namesOf(batch.programs), ", ")))
		}
		if err := b.tool.compile(ctx, batch, directory, note); err != nil {
			return err
		}
		if err := b.store.install(directory, batch.programs, b.keys); err != nil {
			return err
		}
	}
	b.Progress.Done()
	return nil
}

// batches groups the programs by their flags, those of released modules last.
func (b *Builder) batches(missing []program) []batch {
	var batches []batch
	for _, flags := range []string{b.product, plainFlags, b.release} {
		one := batch{flags: flags}
		for _, p := range missing {
			if b.flags(p) == flags {
				one.programs = append(one.programs, p)
			}
		}
		if len(one.programs) > 0 {
			batches = append(batches, one)
		}
	}
	return batches
}

func namesOf(programs []program) []string {
	var names []string
	for _, p := range programs {
		names = append(names, p.name)
	}
	return names
}
