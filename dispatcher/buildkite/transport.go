package buildkite

import "net/http"

// maxAnswerBytes bounds what is read of one answer: a page of a hundred jobs
// with large environments is a few megabytes.
const maxAnswerBytes = 64 << 20

// transport adds the token to requests, keeps to the budget and bounds
// answers.
type transport struct {
	token     TokenSource
	userAgent string
	budget    *budget
	next      http.RoundTripper
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := t.token()
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	if t.userAgent != "" {
		request.Header.Set("User-Agent", t.userAgent)
	}
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	t.budget.observe(response)
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswerBytes)
	return response, nil
}
