  // Ours: 4,096 bytes of nine bits, no output registers, no reset. The module around it is Yosys's.
  // INIT_xx holds eight bits of each byte, INITP_xx the ninth ones. SDP: port A reads, port B writes, and 72 bits take
  // the data pins of both.
  localparam SDP = RAM_MODE == "SDP";
  wire [35:0] data_a = {DIPADIP[3], DIADI[31:24], DIPADIP[2], DIADI[23:16], DIPADIP[1], DIADI[15:8], DIPADIP[0], DIADI[7:0]};
  wire [35:0] data_b = {DIPBDIP[3], DIBDI[31:24], DIPBDIP[2], DIBDI[23:16], DIPBDIP[1], DIBDI[15:8], DIPBDIP[0], DIBDI[7:0]};
  wire [143:0] q;
  wire [35:0] low = q[35:0];
  wire [35:0] high = SDP ? q[71:36] : q[107:72];
  assign {DOPADOP[3], DOADO[31:24], DOPADOP[2], DOADO[23:16], DOPADOP[1], DOADO[15:8], DOPADOP[0], DOADO[7:0]} = low;
  assign {DOPBDOP[3], DOBDO[31:24], DOPBDOP[2], DOBDO[23:16], DOPBDOP[1], DOBDO[15:8], DOPBDOP[0], DOBDO[7:0]} = high;

  fivebyfive_block_ram #(
    .BYTES(4096),
    .INIT({
    INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78,
    INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70,
    INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
    INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60,
    INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58,
    INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
    INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48,
    INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40,
    INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
    INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
    INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
    INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
    INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
    INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
    INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
    INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    }),
    .PARITY({
    INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08,
    INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    }),
    .READ({READ_WIDTH_B[7:0], READ_WIDTH_A[7:0]}),
    .WRITE({WRITE_WIDTH_B[7:0], WRITE_WIDTH_A[7:0]}),
    .MODE({
      WRITE_MODE_B == "READ_FIRST" ? 2'd1 : WRITE_MODE_B == "WRITE_FIRST" ? 2'd2 : 2'd0,
      WRITE_MODE_A == "READ_FIRST" ? 2'd1 : WRITE_MODE_A == "WRITE_FIRST" ? 2'd2 : 2'd0
    }),
    .OLD({WRITE_MODE_B == "READ_FIRST", WRITE_MODE_A == "READ_FIRST"})
  ) ram (
    .a_clk(CLKARDCLK), .b_clk(CLKBWRCLK), .enable({ENBWREN, ENARDEN}),
    .address({1'b0, ADDRBWRADDR[14:0], 1'b0, ADDRARDADDR[14:0]}),
    .write({WEBWE, 4'h0, WEA}),
    .data({
      SDP && WRITE_WIDTH_B == 72 ? {data_b, data_a} : {36'd0, data_b}, 36'd0, data_a
    }),
    .q(q)
  );

  initial
    if (DOA_REG != 0 || DOB_REG != 0 || INIT_A != 0 || INIT_B != 0
        || RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE"
        || IS_CLKARDCLK_INVERTED || IS_CLKBWRCLK_INVERTED || IS_ENARDEN_INVERTED || IS_ENBWREN_INVERTED
        || IS_RSTRAMARSTRAM_INVERTED || IS_RSTRAMB_INVERTED) begin
      $display("fivebyfive: the model of RAMB36E1 has no output register, inverted pin, initial output, cascade");
      $finish;
    end
  always @(posedge CLKARDCLK)
    if (RSTRAMARSTRAM || RSTRAMB) begin
      $display("fivebyfive: the model of RAMB36E1 has no reset");
      $finish;
    end
