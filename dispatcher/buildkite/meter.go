package buildkite

import "time"

const (
	meterSlots = 10
	meterSlot  = budgetWindow / meterSlots
)

// meter adds up what happened in the last five minutes, half a minute more or
// less. Its zero value is ready.
type meter struct {
	sums [meterSlots]float64
	// slot is the number of the latest slot since 1970, begun that of the first.
	slot, begun int64
}

func (m *meter) add(now time.Time, amount float64) {
	m.advance(now)
	m.sums[m.slot%meterSlots] += amount
}

// sum returns the sum, and the time that it was added up in.
func (m *meter) sum(now time.Time) (float64, time.Duration) {
	m.advance(now)
	total := 0.0
	for _, sum := range m.sums {
		total += sum
	}
	slots := min(m.slot-m.begun, meterSlots-1)
	return total, time.Duration(slots)*meterSlot + time.Duration(now.UnixNano())%meterSlot
}

// advance clears the slots that have passed.
func (m *meter) advance(now time.Time) {
	slot := now.UnixNano() / int64(meterSlot)
	if m.slot == 0 || slot < m.slot {
		*m = meter{slot: slot, begun: slot}
		return
	}
	for next := max(m.slot+1, slot-meterSlots+1); next <= slot; next++ {
		m.sums[next%meterSlots] = 0
	}
	m.slot = slot
}
