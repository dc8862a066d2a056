package buildkite

import "net/http"

// maxAnswerBytes bounds what is read of one answer, unpacked: a page of a
// hundred jobs with large environments is a few megabytes. A page that is larger
// is asked for in smaller ones.
const maxAnswerBytes = 16 << 20

// transport adds the token to requests and bounds answers.
type transport struct {
	token     TokenSource
	userAgent string
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
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswerBytes)
	return response, nil
}

// metered tells the budget of every answer.
type metered struct {
	budget *budget
	next   http.RoundTripper
}

func (m *metered) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := m.next.RoundTrip(request)
	if err == nil {
		m.budget.observe(response)
	}
	return response, err
}
