"""What proposes designs after the initial ones: a refiner each, behind one protocol."""
