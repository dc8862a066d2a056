// Package progress prints counted steps with elapsed time and an estimate:
//
//	Local cluster: 8 steps, about 25 s
//	[3/8] control plane  4.1s (about 12 s left)
//
// On a terminal the line of the running step is rewritten; elsewhere each step
// has one line at its end and, when it takes long, one every half minute.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Step is one thing that will be done.
type Step struct {
	// Name is a few words, as a person would say it.
	Name string
	// Estimate is how long it takes; a guess, replaced by what this machine
	// needed last time.
	Estimate time.Duration
}

// Progress prints the steps of one undertaking. Its methods may be called from
// any goroutine; steps come one after the other.
type Progress struct {
	writer   io.Writer
	title    string
	terminal bool
	now      func() time.Time

	mu      sync.Mutex
	steps   []Step
	times   times
	began   time.Time // of the whole
	current int       // index into steps; -1 between steps
	next    int       // the first step that has not begun
	started time.Time // of the current step
	note    string
	stop    chan struct{} // ends the current step's ticker
	said    time.Time     // last time a line was printed away from a terminal
}

const (
	terminalInterval = 200 * time.Millisecond
	logInterval      = 30 * time.Second
)

// New returns what prints the steps. The title and the estimate of the whole are
// printed when the first step starts, so that nothing is said when nothing has to
// be done. Steps that are not listed may be started too.
func New(w io.Writer, title string, steps []Step) *Progress {
	p := &Progress{writer: w, title: title, now: time.Now, current: -1, times: loadTimes(title)}
	if file, ok := w.(*os.File); ok {
		p.terminal = term.IsTerminal(int(file.Fd()))
	}
	for _, step := range steps {
		step.Estimate = p.times.estimate(step)
		p.steps = append(p.steps, step)
	}
	return p
}

// Start begins the named step. Steps before it in the list that were not started
// are left out. An estimate of 0 means the list's, or what it took last time.
func (p *Progress) Start(step string, estimate time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish("")
	p.begin()
	p.current = p.find(step)
	p.next = p.current + 1
	if estimate > 0 {
		p.steps[p.current].Estimate = estimate
	}
	p.started, p.said, p.note = p.now(), p.now(), ""
	p.stop = make(chan struct{})
	p.draw()
	if !p.terminal && p.steps[p.current].Estimate >= logInterval {
		p.printf("%s\n", p.line())
	}
	go p.tick(p.stop)
}

// begin prints the title, once.
func (p *Progress) begin() {
	if !p.began.IsZero() {
		return
	}
	p.began = p.now()
	if len(p.steps) > 0 {
		p.printf("%s: %s, about %s\n", p.title, count(len(p.steps)), Seconds(p.remaining(0)))
	}
}

// find returns the index of the first such step that has not begun, adding it
// where it is not listed.
func (p *Progress) find(name string) int {
	for i := p.next; i < len(p.steps); i++ {
		if p.steps[i].Name == name {
			return i
		}
	}
	rest := append([]Step{{Name: name, Estimate: p.times.estimate(Step{Name: name})}}, p.steps[p.next:]...)
	p.steps = append(p.steps[:p.next:p.next], rest...)
	return p.next
}

// Note says how far the running step is, in a few words.
func (p *Progress) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note = text
}

// Done ends the running step and remembers how long it took.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current < 0 {
		return
	}
	p.times.record(p.steps[p.current].Name, p.now().Sub(p.started))
	p.finish("")
	if p.next == len(p.steps) {
		p.times.save(p.title)
	}
}

// Fail ends the running step; the error itself is for the caller to print.
func (p *Progress) Fail(error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish("failed")
}

// Elapsed is the time since the first step started; 0 when none did.
func (p *Progress) Elapsed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began.IsZero() {
		return 0
	}
	return p.now().Sub(p.began)
}

// finish prints the last line of the current step, if there is one.
func (p *Progress) finish(outcome string) {
	if p.current < 0 {
		return
	}
	close(p.stop)
	if p.terminal {
		p.printf("\r\x1b[K")
	}
	p.steps[p.current].Estimate = 0 // nothing of it is left
	line := p.line()
	if outcome != "" {
		line = fmt.Sprintf("%s  %s after %s", p.head(), outcome, precise(p.now().Sub(p.started)))
	}
	p.printf("%s\n", line)
	p.current = -1
}

func (p *Progress) tick(stop chan struct{}) {
	ticker := time.NewTicker(terminalInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		select {
		case <-stop: // the step ended while we waited for the lock
		default:
			p.draw()
		}
		p.mu.Unlock()
	}
}

// draw prints the state of the running step where that is of use now.
func (p *Progress) draw() {
	switch {
	case p.terminal:
		p.printf("\r\x1b[K%s", p.line())
	case p.now().Sub(p.said) >= logInterval:
		p.said = p.now()
		p.printf("%s\n", p.line())
	}
}

func (p *Progress) head() string {
	return fmt.Sprintf("[%d/%d] %s", p.current+1, len(p.steps), p.steps[p.current].Name)
}

func (p *Progress) line() string {
	var b strings.Builder
	elapsed := p.now().Sub(p.started)
	fmt.Fprintf(&b, "%s  %s", p.head(), precise(elapsed))
	if left := p.remaining(p.next) + max(0, p.steps[p.current].Estimate-elapsed); left > 0 {
		fmt.Fprintf(&b, " (about %s left)", Seconds(left))
	}
	if p.note != "" {
		fmt.Fprintf(&b, " %s", p.note)
	}
	return b.String()
}

// remaining is the estimate of the steps from the given one on.
func (p *Progress) remaining(from int) time.Duration {
	var sum time.Duration
	for _, step := range p.steps[min(from, len(p.steps)):] {
		sum += step.Estimate
	}
	return sum
}

func (p *Progress) printf(format string, arguments ...any) {
	fmt.Fprintf(p.writer, format, arguments...)
}

func count(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}
