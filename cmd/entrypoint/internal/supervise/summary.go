//go:build linux

package supervise

import (
	"encoding/json"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// phases are points in time, since the supervisor's start; 0 if never reached.
type phases struct {
	Prepared time.Duration // directories made, agent delivered
	Held     time.Duration // the hold was over, and the agent went to take the job
	Acquired time.Duration // the job was acquired and started
	Finished time.Duration // the agent had ended
}

// summary is what the termination log holds, as JSON. Times are in seconds since
// the supervisor's start, Began; one that is missing was not reached.
type summary struct {
	Version    int                `json:"version"`
	Began      time.Time          `json:"began"`
	ExitStatus int                `json:"exitStatus"`
	Failure    string             `json:"failure,omitempty"`
	Stopped    bool               `json:"stopped,omitempty"`
	Phases     map[string]float64 `json:"phases"`
	Containers []containerSummary `json:"containers,omitempty"`
	// Omitted counts containers left out for lack of room.
	Omitted int `json:"omitted,omitempty"`
}

type containerSummary struct {
	Name    string  `json:"name"`
	Started float64 `json:"started,omitempty"`
	Ended   float64 `json:"ended,omitempty"`
	Status  *int    `json:"status,omitempty"`
}

// terminationLogLimit is how much of it the kubelet reads.
const terminationLogLimit = 4096

// end leaves the summary. That it cannot be written is no reason to fail.
func (s *supervisor) end(status int, err error) {
	contents := s.summarize(status, err).encode()
	// Opened without creating it: where the kubelet gave no file, there is no reader.
	file, openErr := os.OpenFile(s.options.TerminationLog, os.O_WRONLY|os.O_TRUNC|unix.O_NONBLOCK, 0)
	if openErr != nil {
		return
	}
	defer file.Close()
	if _, writeErr := file.Write(contents); writeErr != nil {
		s.logf("write the termination log: %v", writeErr)
	}
}

func (s *supervisor) summarize(status int, err error) summary {
	result := summary{Version: 1, Began: s.begun.UTC().Truncate(time.Millisecond), ExitStatus: status, Stopped: s.stopping, Phases: map[string]float64{}}
	switch {
	case s.failure != nil:
		result.Failure = s.failure.oneLine()
	case err != nil:
		result.Failure = err.Error()
	}
	for name, at := range map[string]time.Duration{
		"prepared": s.phases.Prepared, "held": s.phases.Held, "acquired": s.phases.Acquired, "finished": s.phases.Finished,
	} {
		if at != 0 {
			result.Phases[name] = seconds(at)
		}
	}
	for _, c := range s.clients {
		entry := containerSummary{Name: c.name, Started: seconds(c.started), Ended: seconds(c.ended)}
		if c.ended != 0 {
			entry.Status = &c.status
		}
		result.Containers = append(result.Containers, entry)
	}

	return result
}

// encode returns the summary as JSON of at most terminationLogLimit bytes.
func (s summary) encode() []byte {
	const failureLimit = 1024
	if len(s.Failure) > failureLimit {
		s.Failure = s.Failure[:failureLimit]
	}
	for {
		contents, err := json.Marshal(s)
		if err == nil && len(contents) <= terminationLogLimit {
			return contents
		}
		if len(s.Containers) == 0 {
			return nil
		}
		s.Containers = s.Containers[:len(s.Containers)-1]
		s.Omitted++
	}
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 {
	return float64(d.Milliseconds()) / 1000
}
