package adaptertest

import (
	"slices"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"go.uber.org/goleak"
)

// Factory makes the n adapters of a new cluster, connected to one another and to nobody else. The suite runs them and
// ends them before the test's cleanup, to which Factory leaves what it made besides.
type Factory func(t *testing.T, n int) []adapter.Adapter

// deadline is for what must happen; nothing waits for it to pass unless a test fails.
const deadline = time.Minute

// The namespaces that every node of the suite has open.
const (
	mainNsp = "/"
	chatNsp = "/chat"
)

// testCase is one case of the suite.
type testCase struct {
	name  string
	nodes int
	run   func(t *testing.T, nodes []*node)
}

// Option says what the adapters are to be held to.
type Option uint8

const (
	// OrderPerTarget: of one publisher's commands only those come in order that go to the same single room, or that go
	// elsewhere than to a single room.
	OrderPerTarget Option = 1 + iota
	// AmongOthers: other tests run at the same time, so a case cannot tell whose goroutines are left. The caller's TestMain
	// does that for all.
	AmongOthers
	// Fences: the adapters have an adapter.Fencer.
	Fences
)

// Run runs the conformance suite. most is the number of nodes that factory can make at a time: with 1 the cases of a
// cluster of one are all there is to run; otherwise it is at least 3, and all cases are run.
// Each case fails when a goroutine is left after its cleanup, unless AmongOthers.
func Run(t *testing.T, most int, factory Factory, options ...Option) {
	if most != 1 && most < 3 {
		t.Fatalf("the suite needs adapters for 1 node or for 3, not for %d", most)
	}
	cases := []testCase{
		{"Alone_PublishSucceedsAndNothingElseComesBack", 1, testAlonePublish},
		{"Alone_ConfirmSucceeds", 1, testAloneConfirm},
		{"Alone_AskMissesNobody", 1, testAloneAsk},

		{"Publish_CommandsReachTheOthersIntact", 3, testCommandsIntact},
		{"Publish_OrderOfOnePublisherIsKept", 3, testOrder},
		{"Publish_ComesBackToTheSenderWhereTheAdapterEchoes", 3, testEcho},
		{"Publish_EchoesComeInOneOrderForAll", 3, testOneOrder},
		{"Publish_NamespacesAreSeparate", 3, testNamespaces},
		{"Publish_RoomNamesAreTakenLiterally", 3, testRoomNames},
		{"Publish_HolderOfAnyOfSeveralRoomsHearsOnce", 3, testSeveralRooms},
		{"Publish_FromManyGoroutinesLosesNothing", 3, testManyPublishers},

		{"Confirm_LaterPublishesArrive", 3, testConfirmRacing},
		{"Confirm_AfterLeaveAndRejoinPublishesArrive", 3, testConfirmChurn},
		{"Confirm_OfManyRoomsAtOnce", 3, testConfirmMany},

		{"Ask_CollectsSocketsOfAllOthers", 3, testFetchSockets},
		{"Ask_CountsSocketsByNode", 3, testCountSockets},
		{"Ask_OneNodeListsItsSockets", 3, testListSockets},
		{"Ask_NodesConfirmWhatTheyCarryOut", 3, testPerform},
		{"Ask_CollectsRoomsOfAllOthers", 3, testAllRooms},
		{"Ask_ServerAnswersMayComeLater", 3, testServerAsk},
		{"Ask_ServersThatHandleNothingAnswerAtOnce", 3, testServerAskUnhandled},
		{"Ask_BroadcastCountsThenAcknowledges", 3, testBroadcastAsk},
		{"Ask_BroadcastWithoutRecipientsEndsAtOnce", 3, testBroadcastAskNobody},
		{"Ask_BroadcastEndsAfterItsTimeout", 3, testBroadcastAskTimeout},
		{"Ask_NamesWhoIsMissingAndTakesNoLateReply", 3, testAskMissing},
		{"Ask_ConcurrentQuestionsGetTheirOwnAnswers", 3, testAskConcurrent},

		{"Run_EndsWithNilAndTakesNothingMore", 3, testRunEnds},
		{"Run_NodesComeAndGoAtOnce", 3, testComeAndGo},
	}
	if slices.Contains(options, Fences) {
		cases = append(cases, fenceCases...)
	}
	for _, c := range cases {
		if c.nodes > most {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if !slices.Contains(options, AmongOthers) {
				running := goleak.IgnoreCurrent()
				t.Cleanup(func() { goleak.VerifyNone(t, running) }) // the last cleanup to run
			}
			nodes := newNodes(t, factory, c.nodes)
			for _, n := range nodes {
				n.perTarget = slices.Contains(options, OrderPerTarget)
			}
			c.run(t, nodes)
		})
	}
}

// eventually waits for a condition that tells nobody when it becomes true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for !condition() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after %s: not %s", deadline, what)
		}
	}
}
