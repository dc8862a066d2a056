//go:build linux

package rundir

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// safetyInterval is how often a watcher looks without having been told to:
	// a sandboxed kernel may not carry inotify events from one container to
	// another, and a pod must not hang for that.
	safetyInterval = 5 * time.Second

	// pollInterval is how often it looks where inotify is not to be had at all.
	// A node allows 128 instances per user unless told otherwise, which a node
	// full of waiting pods exceeds.
	pollInterval = 50 * time.Millisecond
)

// Watch says when the directory may have changed.
type Watch struct {
	// Changed receives a value after a change, and now and then without one.
	// It has one when the Watch is new, so that a loop looks before it waits.
	Changed <-chan struct{}

	changed chan struct{}
	done    chan struct{}
	close   sync.Once
	file    *os.File
}

// Watch starts watching. The caller closes it.
func (d Directory) Watch() *Watch {
	return d.watchWith(newInotify)
}

// watchWith takes the opening of the notification file, so that its failure can
// be tried.
func (d Directory) watchWith(open func(path string) (*os.File, error)) *Watch {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	w := &Watch{Changed: changed, changed: changed, done: make(chan struct{})}

	interval := safetyInterval
	file, err := open(d.path)
	if err != nil {
		interval = pollInterval
	} else {
		w.file = file
		go w.read()
	}
	go w.tick(interval)

	return w
}

func newInotify(path string) (*os.File, error) {
	descriptor, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	file := os.NewFile(uintptr(descriptor), "inotify")
	if _, err := unix.InotifyAddWatch(descriptor, path, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE); err != nil {
		file.Close()

		return nil, os.NewSyscallError("inotify_add_watch", err)
	}

	return file, nil
}

func (w *Watch) read() {
	// What happened does not matter, only that something did.
	buffer := make([]byte, 16*1024)
	for {
		if _, err := w.file.Read(buffer); err != nil {
			return
		}
		w.signal()
	}
}

func (w *Watch) tick(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-ticker.C:
			w.signal()
		}
	}
}

func (w *Watch) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Close ends the watch. It may be called twice. It does not wait for the kernel, which
// lets go of an inotify instance only after a grace period of some 10 ms: a job would
// start by as much later.
func (w *Watch) Close() {
	w.close.Do(func() {
		close(w.done)
		if w.file != nil {
			go w.file.Close()
		}
	})
}
