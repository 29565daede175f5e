package conformance

// Traps is how many traps there are, numbered from 1.
const Traps = 29

// Holder is a component test that holds a part of a trap that cannot be seen
// from outside: it needs a crash between two statements, or a look inside.
type Holder struct {
	// Trap is its number.
	Trap int
	// Test is the name of the test function.
	Test string
	// Folder of the test's package, from the top of the tree.
	Folder string
	// Why it cannot be seen from outside.
	Why string
}

const (
	needsCrash  = "it needs a crash between two statements"
	needsInside = "it needs a look inside"
	needsTime   = "it needs a clock"
)

var holders = []Holder{
	{1, "TestTrap01LinesInAnyOrderDoNotDeadlock", "services/product/store", needsInside},
	{2, "TestTrap02SumDemandKeepsEveryPiece", "services/product", needsInside},
	{3, "TestTrap03DatabaseRefusesOverselling", "services/product/store", needsInside},
	{5, "TestTrap05CrashBetweenStepsEndsInOneOrder", "services/order/store", needsCrash},
	{6, "TestTrap06MoneyWithoutAnOrderGoesBack", "services/billing", needsTime},
	{7, "TestTrap07PaymentAfterTheEndGoesBack", "services/order/store", needsTime},
	{8, "TestTrap08PaymentMustBeWhatIsOwed", "services/order/store", needsInside},
	{10, "TestTrap10LinesSumToTheOrderForAnyGoods", "services/order", needsInside},
	{13, "TestTrap13ALongOutageIsSurvived", "services/billing", needsTime},
	{14, "TestTrap14CrashBetweenRowAndCharge", "services/billing", needsCrash},
	{14, "TestTakeoverAfterACrash", "internal/idempotency", needsCrash},
	{16, "TestTrap16FailedEventsAreRetried", "services/billing", needsInside},
	{17, "TestTrap17EveryFailedStatementChangesNothing", "services/auth", needsCrash},
	{17, "TestTrap17EveryFailedStatementChangesNothing", "services/user", needsCrash},
	{17, "TestReplicasPublishEachEventOnceInOrder", "internal/outbox", needsCrash},
	{17, "TestBusThatIsAwayLosesNothing", "internal/outbox", needsInside},
	{18, "TestConformance", "internal/bus/postgresbus", needsInside},
	{18, "TestSlowHandlersHoldNoConnections", "internal/bus/postgresbus", needsInside},
	{18, "TestCircuitOpensAndCloses", "services/gateway", needsInside},
	{19, "TestTrap19RefreshModel", "services/auth", needsTime},
	{20, "TestTrap20ALoginThatRacesWithAResetDoesNotSurviveIt", "services/auth", needsInside},
	{21, "TestTrap21UnknownAddressesCostTheSame", "services/auth", needsInside},
	{22, "TestTrap22AStrangerWhoRegisteredFirstKeepsNothing", "services/auth", needsInside},
	{25, "TestTrap25PoisonBlocksNobody", "services/notification", needsInside},
	{25, "TestTrap25ADeadWorkersLeaseEnds", "services/notification", needsCrash},
	{25, "TestTwoWorkersSendEachMailOnce", "services/notification", needsInside},
	{26, "TestTrap26RedisDiesInMidFlight", "services/gateway", needsCrash},
	{26, "TestTrap26ClientAddressIsReadRightToLeft", "services/gateway", needsInside},
	{27, "TestTrap27ListIsAFixedNumberOfQueries", "services/product/store", needsInside},
	{28, "TestTrap28ManySweepersExpireEachOrderOnce", "services/order/store", needsTime},
	{28, "TestTrap28ConcurrentSweepersExpireEachReservationOnce", "services/product/store", needsTime},
	{28, "TestPeriodicJobRunsOncePerIntervalForAllReplicas", "internal/job", needsTime},
	{29, "TestTrap29OnlyPicturesAreStoredAndServed", "services/product/module", needsInside},
}

// HeldBy returns the component tests that hold a trap.
func HeldBy(trap int) []Holder {
	var found []Holder
	for _, h := range holders {
		if h.Trap == trap {
			found = append(found, h)
		}
	}
	return found
}
