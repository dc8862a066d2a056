package state

import "maps"

// scoped finds the build that meta-data and artifacts are meant for, by the UUID
// of the build or of one of its jobs.
func (s *Store) scoped(uuid string) (*build, error) {
	if b, ok := s.buildByUUID[uuid]; ok {
		return b, nil
	}
	if j, ok := s.jobByUUID[uuid]; ok {
		return j.build, nil
	}
	return nil, notFound("No build or job found")
}

// SetMetaData stores a build's meta-data; uuid is the build's or a job's.
func (s *Store) SetMetaData(uuid string, values map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return err
	}
	for key, value := range values {
		switch {
		case key == "":
			return unprocessable("meta-data needs a key")
		case value == "":
			return unprocessable("meta-data %q needs a value", key)
		case len(value) > maxBodyBytes || len(b.metaData) >= maxMetaData:
			return tooLarge("the meta-data of build %d is too large", b.number)
		}
	}
	maps.Copy(b.metaData, values)
	return nil
}

// MetaData returns all meta-data of a build; uuid is the build's or a job's.
func (s *Store) MetaData(uuid string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return nil, err
	}
	return merge(b.metaData), nil
}
