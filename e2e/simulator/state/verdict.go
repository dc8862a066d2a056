package state

// Report is what the oracle has to say about all jobs.
type Report struct {
	// Violations are sentences about what must never happen.
	Violations []string `json:"violations"`
	// Unfinished are jobs that an agent took and that have not ended.
	Unfinished []string `json:"unfinished"`
	// Records are by job, oldest first.
	Records []Record `json:"records"`
}

// Report returns the oracle's view of all jobs.
func (s *Store) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	report := Report{Violations: []string{}, Unfinished: []string{}}
	for _, r := range s.oracle.order {
		report.Violations = append(report.Violations, r.violations()...)
		if j, ok := s.jobByUUID[r.JobUUID]; ok && r.Acquisitions > 0 && !j.state.Ended() {
			report.Unfinished = append(report.Unfinished, r.JobUUID)
		}
		report.Records = append(report.Records, r.snapshot())
	}
	return report
}

// Verdict is a Report without the records: small, however many jobs there were.
type Verdict struct {
	// Violations are sentences about what must never happen.
	Violations []string `json:"violations"`
	Totals     Totals   `json:"totals"`
	// Open counts the jobs that have not ended, Held those of them that an agent
	// has taken.
	Open int `json:"open"`
	Held int `json:"held"`
}

// Verdict returns what is wrong, if anything is, and sums. It may be asked often.
func (s *Store) Verdict() Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	verdict := Verdict{Violations: []string{}, Totals: s.oracle.totals}
	for _, uuid := range sortedKeys(s.oracle.wrong) { // UUIDs begin with the time
		verdict.Violations = append(verdict.Violations, s.oracle.wrong[uuid].violations()...)
	}
	for _, j := range s.openJobs() {
		if j.state.Ended() || j.kind() != TypeCommand {
			continue
		}
		verdict.Open++
		if j.state.WithAgent() {
			verdict.Held++
		}
	}
	return verdict
}
