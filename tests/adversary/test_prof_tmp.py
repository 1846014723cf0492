import cProfile,pstats,time
def test_p(walls):
    walls.read("select 1 from genre")
    p=cProfile.Profile(); p.enable(); a=time.time()
    for i in range(10): walls.read(f"select email, {i} from customer")
    print(walls.engine, time.time()-a)
    p.disable(); pstats.Stats(p).sort_stats("tottime").print_stats(8)
    a=time.time()
    for i in range(10): walls.world("select * from customer")
    print("world", time.time()-a)
