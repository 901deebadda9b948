package claim

// Guard is guard, for its tests.
var Guard = guard
