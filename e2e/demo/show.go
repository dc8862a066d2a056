package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// show runs the jobs. The first result is nil if all is green.
func (d *demo) show(ctx context.Context) (notGreen, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.sayf("A pipeline of three steps goes to the queue %q, which the dispatcher watches.", queue)
	first, err := d.build(ctx, "demo", pipeline)
	if err != nil {
		return nil, err
	}
	if first, err = d.follow(ctx, first); err != nil {
		return nil, err
	}

	d.sayf("A job goes to the queue \"hand-made\", which nobody watches, and a pod is made for it with kubectl:")
	second, err := d.build(ctx, "hand-made", handMadePipeline)
	if err != nil {
		return nil, err
	}
	manifest := d.fillIn(handMadePod)
	d.indent("$ kubectl create -f - <<EOF\n" + manifest + "EOF")
	// One of an earlier demo would be in the way.
	if _, err := d.kubectl.Run(ctx, "-n", "buildkite-jobs", "delete", "pod", "made-by-hand", "--ignore-not-found"); err != nil {
		return nil, err
	}
	output, err := d.kubectl.RunInput(ctx, manifest, "create", "-f", "-")
	if err != nil {
		return nil, err
	}
	d.indent(output)
	if second, err = d.follow(ctx, second); err != nil {
		return nil, err
	}
	return d.conclude(ctx, first, second)
}

func (d *demo) build(ctx context.Context, slug, steps string) (simulator.Build, error) {
	build, err := d.client.CreateBuild(ctx, simulator.BuildRequest{
		Slug: slug, Repository: "sample", Message: "The demo", Pipeline: d.fillIn(steps),
	})
	if err == nil {
		d.indent("build " + build.URL)
	}
	return build, err
}

func (d *demo) fillIn(text string) string {
	return strings.NewReplacer(
		"@AGENT@", d.pulled[images.Agent], "@SHELL@", d.pulled[images.Shell], "@SERVICE@", d.pulled[images.NoShell],
	).Replace(text)
}

// follow tells what happens to each job until the build has ended.
func (d *demo) follow(ctx context.Context, build simulator.Build) (simulator.Build, error) {
	began := time.Now()
	told := map[string]simulator.State{}
	ended, err := d.client.WaitForBuild(ctx, build.UUID, func(current simulator.Build) {
		for _, job := range current.Commands() {
			if told[job.UUID] != job.State {
				told[job.UUID] = job.State
				fmt.Fprintf(d.Out, "  %5.1fs  %-38s %s\n", time.Since(began).Seconds(), job.Label, describe(job))
			}
		}
	})
	if err != nil {
		return ended, fmt.Errorf("follow the build: %w; look at the pods with kubectl -n buildkite-jobs get pods, and at the dispatcher with kubectl -n buildkite logs deployment/dispatcher", err)
	}
	fmt.Fprintln(d.Out)
	return ended, nil
}

func describe(job simulator.Job) string {
	switch {
	case job.State == "scheduled":
		return "scheduled, waits for an agent"
	case job.State == "assigned":
		return "assigned to " + job.AgentName
	case job.State == "accepted":
		return "acquired by the agent in pod " + job.AgentName
	case job.State == "running":
		return "running in pod " + job.AgentName
	case job.Passed:
		return fmt.Sprintf("passed, %.1f s after it started", job.FinishedAt.Sub(job.StartedAt).Seconds())
	case job.ExitStatus != nil:
		return fmt.Sprintf("%s with exit status %d", job.State, *job.ExitStatus)
	default:
		return string(job.State)
	}
}

// conclude prints what a person wants to see at the end, and judges.
func (d *demo) conclude(ctx context.Context, builds ...simulator.Build) (notGreen, err error) {
	jobs := 0
	var bad []string
	for _, build := range builds {
		if build.State != "passed" {
			bad = append(bad, fmt.Sprintf("build %s %s", build.URL, build.State))
		}
		for _, job := range build.Commands() {
			jobs++
			log, err := d.client.JobLog(ctx, job.UUID)
			if err != nil {
				return nil, err
			}
			d.sayf("The log of %q:", job.Label)
			d.indent(log)
			record, err := d.client.Record(ctx, job.UUID)
			if err != nil {
				return nil, err
			}
			if record.Acquisitions != 1 || record.Finishes != 1 {
				bad = append(bad, fmt.Sprintf("job %s was acquired %d times and finished %d times", job.URL, record.Acquisitions, record.Finishes))
			}
		}
	}
	pods, err := d.kubectl.Run(ctx, "-n", "buildkite-jobs", "get", "pods")
	if err != nil {
		return nil, err
	}
	d.sayf("The pods:")
	d.indent(pods)
	if len(bad) > 0 {
		return fmt.Errorf("not all is green: %s", strings.Join(bad, "; ")), nil
	}
	d.sayf("All green: %d jobs, each acquired once and finished once.", jobs)
	return nil, nil
}

func (d *demo) sayf(format string, arguments ...any) {
	fmt.Fprintf(d.Out, "\n"+format+"\n", arguments...)
}

func (d *demo) indent(text string) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		fmt.Fprintf(d.Out, "    %s\n", strings.TrimRight(line, "\n"))
	}
}
