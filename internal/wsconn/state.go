package wsconn

// readState says what reads from a WebSocket.
type readState uint8

const (
	readWaiting   readState = iota // a reader handles messages, or waits for one
	readParked                     // there is no reader: the poller starts one when something arrives
	readBusy                       // a reader waits inside its run; the poller interrupts it when the peer hangs up
	readLingering                  // a reader takes no more messages: it discards what arrives until the peer has hung up
	readGone                       // the connection was cut
)

// readEvent is what changes a readState.
type readEvent uint8

const (
	readPark   readEvent = iota // the reader has found nothing more to read, and ends
	readStay                    // the reader has had many messages in short time
	readLeave                   // the reader of a busy connection has had a pause
	readWake                    // the poller reports input or a hang-up
	readEnd                     // the session has ended, or the reader has met an error
	readCut                     // the connection is cut
	readEvents = iota
)

// readTransitions is the state after each event. An event that is not listed changes nothing.
var readTransitions = [...]map[readEvent]readState{
	readWaiting:   {readPark: readParked, readStay: readBusy, readEnd: readLingering, readCut: readGone},
	readParked:    {readWake: readWaiting, readEnd: readLingering, readCut: readGone},
	readBusy:      {readLeave: readWaiting, readWake: readWaiting, readEnd: readLingering, readCut: readGone},
	readLingering: {readCut: readGone},
	readGone:      {},
}

// on returns the state after an event, and whether the event means anything in this one.
func (s readState) on(e readEvent) (next readState, ok bool) {
	next, ok = readTransitions[s][e]
	if !ok {
		next = s
	}
	return next, ok
}

// writeState says what may still be written to a WebSocket.
type writeState uint8

const (
	writeOpen    writeState = iota
	writeClosing            // a Close frame is about to be written: nothing is queued behind it
	writeClosed             // the Close frame has been written
	writeBroken             // a write failed, perhaps in the middle of a frame
)

// writeEvent is what changes a writeState.
type writeEvent uint8

const (
	writeClose      writeEvent = iota // the last batch was taken from the outbox
	writeCloseFrame                   // the Close frame was written
	writeFailed                       // a write failed
	writeEvents     = iota
)

// writeTransitions is the state after each event. An event that is not listed changes nothing.
var writeTransitions = [...]map[writeEvent]writeState{
	writeOpen:    {writeClose: writeClosing, writeCloseFrame: writeClosed, writeFailed: writeBroken},
	writeClosing: {writeCloseFrame: writeClosed, writeFailed: writeBroken},
	writeClosed:  {},
	writeBroken:  {},
}

func (s writeState) on(e writeEvent) (next writeState, ok bool) {
	next, ok = writeTransitions[s][e]
	if !ok {
		next = s
	}
	return next, ok
}
