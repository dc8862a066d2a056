package state

// progress counts a build's jobs by what they mean for the build.
type progress struct {
	open, started, failed int
}

func (b *build) progress() progress {
	var p progress
	for _, j := range b.jobs {
		if j.retried() {
			p.started++ // or it would not have been
			continue
		}
		if !j.startedAt.IsZero() || (j.state.Ended() && j.kind() == TypeCommand) {
			p.started++
		}
		switch {
		case !j.state.Ended():
			p.open++
		case !j.ok() && j.kind() == TypeCommand:
			p.failed++
		}
	}
	return p
}

func (b *build) state() BuildState {
	p := b.progress()
	switch {
	case b.canceled && p.open > 0:
		return BuildCanceling
	case b.canceled && p.failed > 0:
		return BuildCanceled
	case p.open == 0 && p.failed > 0:
		return BuildFailed
	case p.open == 0:
		return BuildPassed
	case p.failed > 0:
		return BuildFailing
	case p.started > 0:
		return BuildRunning
	default:
		return BuildScheduled
	}
}

func (b *build) summary() Build {
	return Build{
		UUID: b.uuid, Number: b.number, URL: b.url, PipelineSlug: b.pipeline.slug,
		Branch: b.branch, Commit: b.commit, Message: b.message, Env: b.env,
		CreatedAt: b.createdAt, CanceledAt: b.canceledAt,
	}
}

func (b *build) snapshot(withJobs bool) Build {
	result := b.summary()
	result.State = b.state()
	for _, j := range b.jobs {
		if withJobs {
			result.Jobs = append(result.Jobs, j.snapshot())
		}
		if !j.startedAt.IsZero() && (result.StartedAt.IsZero() || j.startedAt.Before(result.StartedAt)) {
			result.StartedAt = j.startedAt
		}
		if result.State.Ended() && j.finishedAt.After(result.FinishedAt) {
			result.FinishedAt = j.finishedAt
		}
	}
	return result
}
