package emulator

// event is one record of /import, as scanned: what Mixpanel looks at.
// Everything in it is borrowed from the body.
type event struct {
	raw       []byte
	name      value
	badName   bool   // the name is not UTF-8
	extra     []byte // first member besides event and properties
	isObject  bool
	propsKind kind
	properties
}

// properties is what Mixpanel looks at in an event's properties.
type properties struct {
	time, distinctID, insertID  value
	userID, deviceID, companyID value

	count       int    // members
	depth       int    // levels of nesting in their values
	keys, items int    // most members of a nested object, elements of an array
	badUTF8     []byte // name of the first one that is not UTF-8
	ignored     bool   // $ignore is true: Mixpanel drops the event and says nothing
}

// scanEvent reads the JSON value at i into e and returns the offset behind it,
// or -1 if it is not JSON. A member given twice counts as given last.
func (s *scanner) scanEvent(i int, e *event) int {
	*e = event{}
	start := i
	if i >= len(s.src) || s.src[i] != '{' {
		if _, i = s.scan(i, 0); i >= 0 {
			e.raw = s.src[start:i]
		}
		return i
	}
	e.isObject = true
	i, more := s.enter(i)
	for more {
		var name, v value
		s.measure()
		if name, i = s.key(i); i < 0 {
			return -1
		}
		switch string(name.text()) {
		case "properties":
			e.properties = properties{}
			if i < len(s.src) && s.src[i] == '{' {
				e.propsKind = object
				i = s.scanProperties(i, &e.properties)
			} else {
				v, i = s.scan(i, 1)
				e.propsKind = v.kind
			}
		case "event":
			e.name, i = s.scan(i, 1)
			e.badName = s.badUTF8
		default:
			_, i = s.scan(i, 1)
			if e.extra == nil {
				e.extra = name.text()
			}
		}
		if i < 0 {
			return -1
		}
		i, more = s.next(i)
	}
	if i >= 0 {
		e.raw = s.src[start:i]
	}
	return i
}

// scanProperties reads the object at i.
func (s *scanner) scanProperties(i int, p *properties) int {
	i, more := s.enter(i)
	for more {
		var name, v value
		s.measure()
		if name, i = s.key(i); i < 0 {
			return -1
		}
		if v, i = s.scan(i, 0); i < 0 {
			return -1
		}
		p.count++
		p.depth, p.keys, p.items = max(p.depth, s.depth), max(p.keys, s.keys), max(p.items, s.items)
		if s.badUTF8 && p.badUTF8 == nil {
			p.badUTF8 = name.text()
		}
		if v.kind == null {
			v = value{} // null is not an id, nor a time
		}
		switch string(name.text()) {
		case "time":
			p.time = v
		case "distinct_id":
			p.distinctID = v
		case "$insert_id":
			p.insertID = v
		case "$user_id":
			p.userID = v
		case "$device_id":
			p.deviceID = v
		case "$company_id":
			p.companyID = v
		case "$ignore":
			p.ignored = string(v.raw) == "true"
		}
		i, more = s.next(i)
	}
	return i
}

// find returns the value of the named member of the JSON object raw.
func find(raw []byte, name string) (found value) {
	s := scanner{src: raw}
	i := s.space(0)
	if i >= len(raw) || raw[i] != '{' {
		return found
	}
	i, more := s.enter(i)
	for more {
		var key, v value
		if key, i = s.key(i); i < 0 {
			return found
		}
		if v, i = s.scan(i, 1); i < 0 {
			return found
		}
		if string(key.text()) == name {
			found = v
		}
		i, more = s.next(i)
	}
	return found
}
