package crash

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// message is what a line of the dispatcher's log says.
var message = regexp.MustCompile(`msg=("[^"]*"|\S+)`)

// lastMessage returns the last message of a log.
func lastMessage(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := message.FindAllStringSubmatch(string(content), -1)
	if len(all) == 0 {
		return "(nothing)"
	}
	return strings.Trim(all[len(all)-1][1], `"`)
}

// report prints what the kills have met and returns what the oracle finds wrong.
func (k *killer) report(out io.Writer, elapsed time.Duration) error {
	fmt.Fprintf(out, "\n%s: %d jobs, %d kills, %s\n", k.scenario.name, len(k.scheduled), len(k.deaths), elapsed.Round(time.Second))
	var ages []time.Duration
	var unbegun, open, podless, waiting, running int
	said := map[string]int{}
	for _, met := range k.deaths {
		ages = append(ages, met.age)
		said[met.last]++
		podless, waiting, running = podless+positive(met.podless), waiting+positive(met.waiting), running+positive(met.running)
		unbegun += positive(met.podless + met.waiting)
		open += positive(met.podless + met.waiting + met.running)
	}
	slices.Sort(ages)
	fmt.Fprintf(out, "  the dispatcher's age when it was killed: %s to %s, median %s\n", round(ages[0]), round(ages[len(ages)-1]), round(ages[len(ages)/2]))
	fmt.Fprintf(out, "  kills that met jobs in hand: %d; not begun yet: %d, of them without a pod: %d, with one: %d; running: %d\n", open, unbegun, podless, waiting, running)
	unnoted, err := k.unnoted()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  pods that were created and whose dispatcher died before it had noted the answer: %d\n", unnoted)
	if len(k.takeovers) > 0 {
		slices.Sort(k.takeovers)
		fmt.Fprintf(out, "  from a leader's death to the next leader: median %s, longest %s\n", round(k.takeovers[len(k.takeovers)/2]), round(k.takeovers[len(k.takeovers)-1]))
	}
	fmt.Fprintf(out, "  the last thing that it said:\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, text := range byCount(said) {
		fmt.Fprintf(table, "    %d\t%s\n", said[text], text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	totals := k.bed.Simulator.Oracle().Verdict().Totals
	fmt.Fprintf(out, "  the oracle: %d jobs, %d acquired, %d finished, %d requests to acquire; %d agents were refused their job\n",
		totals.Jobs, totals.Acquired, totals.Finished, totals.AcquireAttempts, k.bed.Agents.Refused())
	return k.problems(open)
}

// problems are what the oracle finds wrong, and kills that prove nothing.
func (k *killer) problems(open int) error {
	var problems []error
	for _, violation := range k.bed.Violations(k.scheduled) {
		problems = append(problems, errors.New(violation))
	}
	for _, job := range k.scheduled {
		if pods := k.bed.Agents.PodsOf(job.UUID); pods != 1 {
			problems = append(problems, fmt.Errorf("job %s had %d pods", job.UUID, pods))
		}
	}
	if open == 0 {
		problems = append(problems, errors.New("no kill met a job in hand: nothing was shown"))
	}
	const most = 10
	if more := len(problems) - most; more > 0 {
		problems = append(problems[:most], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// unnoted counts jobs with a pod of which no dispatcher said that it created it.
func (k *killer) unnoted() (int, error) {
	noted := map[string]bool{}
	for _, path := range k.logs {
		content, err := os.ReadFile(path)
		if err != nil {
			return 0, fmt.Errorf("read a dispatcher's log: %w", err)
		}
		for line := range strings.Lines(string(content)) {
			if !strings.Contains(line, "created pod") {
				continue
			}
			for _, uuid := range jobUUID.FindAllString(line, -1) {
				noted[uuid] = true
			}
		}
	}
	count := 0
	for _, job := range k.scheduled {
		count += boolean(!noted[job.UUID] && k.bed.Agents.PodsOf(job.UUID) > 0)
	}
	return count, nil
}

var jobUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

func boolean(is bool) int {
	if is {
		return 1
	}
	return 0
}

// positive is 1 for a number above 0.
func positive(number int) int { return boolean(number > 0) }

func byCount(counts map[string]int) []string {
	var texts []string
	for text := range counts {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	return texts
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
