package doctor

import (
	"fmt"
	"slices"
)

// Status is how a check came out.
type Status string

// The statuses, the worst first.
const (
	Failed  Status = "failed"
	Unknown Status = "unknown"
	Warning Status = "warning"
	OK      Status = "ok"
)

// Result is what one check found.
type Result struct {
	// Check is its name, the same in every version.
	Check string `json:"check"`
	// Status is one of the constants.
	Status Status `json:"status"`
	// Where is the object or the place that it is about.
	Where string `json:"where"`
	// What is what was found, in a sentence without its end.
	What string `json:"what"`
	// Mend is what to do, a command where one does it.
	Mend string `json:"mend,omitempty"`
}

// Report is all results.
type Report struct {
	Context string         `json:"context,omitempty"`
	Server  string         `json:"server"`
	Results []Result       `json:"results"`
	Counts  map[Status]int `json:"counts"`
}

func (r *Report) add(result Result) {
	r.Results = append(r.Results, result)
	if r.Counts == nil {
		r.Counts = map[Status]int{}
	}
	r.Counts[result.Status]++
}

// has reports whether any check came out so.
func (r *Report) has(status Status) bool {
	return slices.ContainsFunc(r.Results, func(result Result) bool { return result.Status == status })
}

// place gathers the results of one check about one object.
type place struct {
	report       *Report
	check, where string
}

func (p place) okf(format string, arguments ...any) {
	p.report.add(Result{Check: p.check, Status: OK, Where: p.where, What: fmt.Sprintf(format, arguments...)})
}

func (p place) failf(mend, format string, arguments ...any) {
	p.report.add(Result{Check: p.check, Status: Failed, Where: p.where, What: fmt.Sprintf(format, arguments...), Mend: mend})
}

func (p place) warnf(mend, format string, arguments ...any) {
	p.report.add(Result{Check: p.check, Status: Warning, Where: p.where, What: fmt.Sprintf(format, arguments...), Mend: mend})
}

// unknownf says that it could not be looked at.
func (p place) unknownf(mend, format string, arguments ...any) {
	p.report.add(Result{Check: p.check, Status: Unknown, Where: p.where, What: fmt.Sprintf(format, arguments...), Mend: mend})
}

// unseen is unknown for an error of the API server's.
func (p place) unseen(err error) {
	p.unknownf("Have somebody run this who may read it, or ask for a role that may.", "could not be read: %v", err)
}
